"""Decide which webhook gets which event, and whether it is sent. Every way in which events come asks here.

::

    enabled? ─▶ event codes and patterns ─▶ filter (filters.py) ─▶ Match
"""

from typing import Final

from msgspec import Struct

from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.event_patterns import any_covers
from packhook.core.filter_text import FilterRefused
from packhook.core.filters import COMPILED, FilterFailed, FilterReader, reader_of
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
    filter: str = ""


class Match(Struct, frozen=True):
    """Say whether a webhook gets an event. ``filter_error`` says why its filter has no value: that is a match."""

    matches: bool
    filter_error: str = ""


PAUSED: Final = "the webhook is paused: its deliveries wait until it is resumed"
DISABLED: Final = "the webhook is disabled: events create no deliveries"
FILTERED: Final = "its filter is false for this event"

MATCH: Final = Match(matches=True)
NO_MATCH: Final = Match(matches=False)


def held_reason(webhook: Webhook, *, requires_verification: bool) -> str:
    """Return why nothing is sent to an enabled webhook; "" if something may be."""
    if requires_verification and webhook.verification_pending:
        return AWAITING_VERIFICATION
    return PAUSED if webhook.paused else ""


def subscription_of(webhook: Webhook) -> Subscription:
    """Return what decides which events a webhook gets."""
    return Subscription(
        webhook_id=webhook.id,
        version=webhook.version,
        event_code=webhook.event_code,
        enabled=webhook.enabled,
        verification_pending=webhook.verification_pending,
        paused=webhook.paused,
        event_codes=webhook.event_codes,
        filter=webhook.filter,
    )


def matches(subscription: Subscription, event: Event, reader: FilterReader | None = None) -> Match:
    """Return whether this webhook of the event's organization gets the event.

    ``reader`` reads the event for the filters of many webhooks; without one it is read for this webhook alone.
    """
    if not may_match(subscription, event.event_code):
        return NO_MATCH
    return passes(subscription.filter, event, reader) if subscription.filter else MATCH


def may_match(subscription: Subscription, event_code: str) -> bool:
    """Return whether this webhook gets events of this code, unless its filter is false for them."""
    return subscription.enabled and takes_code(subscription.event_code, subscription.event_codes, event_code)


def takes_code(own: str, patterns: tuple[str, ...], event_code: str) -> bool:
    """Return whether a webhook with this event code, and these patterns if any, subscribes to an event code."""
    return any_covers(patterns, event_code) if patterns else own == event_code


def passes(text: str, event: Event, reader: FilterReader | None = None) -> Match:
    """Return whether an event passes a filter. One that has no value for it lets it pass: nothing is lost by a typo."""
    found = COMPILED.get(text)
    if isinstance(found, FilterRefused):
        return Match(matches=True, filter_error=str(found))
    try:
        return MATCH if found.evaluate(reader or reader_of(event, [found])) else NO_MATCH
    except FilterFailed as failed:
        return Match(matches=True, filter_error=str(failed))


def why_not(subscription: Subscription, event: Event) -> tuple[str, ...]:
    """Return why a webhook does not get an event, in words: everything that stands against it; () where it does."""
    found = []
    if not subscription.enabled:
        found.append(DISABLED)
    if not takes_code(subscription.event_code, subscription.event_codes, event.event_code):
        codes = ", ".join(subscription.event_codes or (subscription.event_code,))
        found.append(f"it subscribes to {codes}, not to {event.event_code}")
    if subscription.filter and not passes(subscription.filter, event).matches:
        found.append(FILTERED)
    return tuple(found)
