"""Decide which webhook gets which event, and whether it is sent. Every fan-out asks here, also of events from SQL."""

from typing import Final

from msgspec import Struct

from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.event_patterns import any_covers
from packhook.core.model import Event, Webhook


class Subscription(Struct, frozen=True):
    """Hold what fan-out needs to know of a webhook that is not deleted. No ``event_codes``: just ``event_code``."""

    webhook_id: str
    version: int
    event_code: str
    enabled: bool
    verification_pending: bool
    paused: bool = False
    event_codes: tuple[str, ...] = ()


PAUSED: Final = "the webhook is paused: its deliveries wait until it is resumed"


def held_reason(webhook: Webhook, *, requires_verification: bool) -> str:
    """Return why nothing is sent to an enabled webhook; "" if something may be."""
    if requires_verification and webhook.verification_pending:
        return AWAITING_VERIFICATION
    return PAUSED if webhook.paused else ""


def matches(subscription: Subscription, event: Event) -> bool:
    """Return whether this webhook of the event's organization gets the event."""
    return subscription.enabled and takes_code(subscription.event_code, subscription.event_codes, event.event_code)


def takes_code(own: str, patterns: tuple[str, ...], event_code: str) -> bool:
    """Return whether a webhook with this event code, and these patterns if any, subscribes to an event code."""
    return any_covers(patterns, event_code) if patterns else own == event_code
