"""Know the event types that are built in. Everything that asks whether there is an event code asks here."""

from collections.abc import Iterable
from typing import Final

from packhook.core.event_patterns import any_covers
from packhook.core.operational_events import OPERATIONAL_EVENTS
from packhook.core.order_events import ORDER_EVENTS

EVENT_TYPES: Final = {event_type.code: event_type for event_type in (*ORDER_EVENTS, *OPERATIONAL_EVENTS)}
"""Each event type by its code."""

EVENT_CODES: Final = tuple(EVENT_TYPES)
"""What a webhook may subscribe to."""

PUBLISHED_CODES: Final = tuple(event_type.code for event_type in ORDER_EVENTS)
"""What an organization may publish; packhook itself publishes the others."""


def codes_of(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the event codes that some pattern covers."""
    some = tuple(patterns)
    return tuple(code for code in EVENT_CODES if any_covers(some, code))
