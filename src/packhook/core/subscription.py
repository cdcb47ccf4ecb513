"""Decide which webhook gets which event. Every fan-out asks here: both stores, and what was published in SQL."""

from msgspec import Struct

from packhook.core.model import Event


class Subscription(Struct, frozen=True):
    """Hold what fan-out needs to know of a webhook that is not deleted."""

    webhook_id: str
    version: int
    event_code: str
    enabled: bool
    verification_pending: bool


def matches(subscription: Subscription, event: Event) -> bool:
    """Return whether this webhook of the event's organization gets the event."""
    return subscription.enabled and subscription.event_code == event.event_code
