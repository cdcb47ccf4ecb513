"""Matching: say whether a webhook would get an event, and why not; check filters when they are written."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct, structs

from packhook.core import ids
from packhook.core.clock import Clock
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.event_types import Catalogue
from packhook.core.filters import FilterFailed, compile_filter, reader_of
from packhook.core.model import Event, Webhook
from packhook.core.subject import INVALID
from packhook.core.subscription import matches, subscription_of, takes_code, why_not
from packhook.store.base import Store
from packhook.store.erasure import WAS_ERASED

MAX_EXAMPLES: Final = 20
"""With the examples of so many event types a filter is tried when it is written."""


class MatchResult(Struct, frozen=True, kw_only=True):
    """Say whether a webhook gets an event: ``reasons`` is all that stands against it.

    ``filter_error`` is why its filter has no value for the event, which counts as a match. ``waits`` says that the
    delivery would wait, as the webhook is paused.
    """

    matches: bool
    reasons: tuple[str, ...]
    filter_error: str
    waits: bool


class Matching:
    """Match events for people who write filters. Nothing is stored."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def match_stored(self, organization_id: str, webhook_id: str, event_id: str) -> MatchResult:
        """Match an event that was published. Raise NotFound if one of the two is not this organization's."""
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        event, _ = await self._store.get_event(organization_id, event_id)
        if event.erased_at is not None:
            return MatchResult(matches=False, reasons=(WAS_ERASED,), filter_error="", waits=False)
        return _result(webhook, event)

    async def match(self, organization_id: str, webhook_id: str, event_code: str, data: object) -> MatchResult:
        """Match an event as if it were published now. Raise NotFound if the webhook is not this organization's."""
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        catalogue = self._store.event_types.catalogue
        return _result(webhook, _event(organization_id, event_code, data, self._clock.now(), catalogue))


def check_subscription(webhook: Webhook, event_types: Catalogue) -> None:
    """Raise InvalidInput unless a webhook's own settings fit together: its event codes, and its filter."""
    errors = []
    if not takes_code(webhook.event_code, webhook.event_codes, webhook.event_code):
        text = f"expected a code or pattern that matches event_code, which is `{webhook.event_code}`"
        errors.append(FieldError("/event_codes", "event_code_not_matched", text))
    if webhook.filter and (problem := filter_problem(webhook, event_types)):
        errors.append(FieldError("/filter", "filter_does_not_fit", problem))
    if errors:
        raise InvalidInput(errors)


def filter_problem(webhook: Webhook, event_types: Catalogue) -> str:
    """Return why a filter has no value for any example of the event types that the webhook gets; "" if it may have.

    A member that an example lacks is no problem: events may have it.
    """
    compiled = compile_filter(webhook.filter)
    problem = ""
    for code in event_types.codes_of(webhook.event_codes or (webhook.event_code,))[:MAX_EXAMPLES]:
        example = event_types.types[code].example
        if example is None:
            return ""
        event = _event(webhook.organization_id, code, example, webhook.updated_at, event_types)
        try:
            compiled.evaluate(reader_of(event, [compiled]))
        except FilterFailed as failed:
            if not failed.is_wrong_type:
                return ""
            problem = problem or f"{failed} (with the example of `{code}`)"
        else:
            return ""
    return problem


def _event(organization_id: str, event_code: str, data: object, now: int, event_types: Catalogue) -> Event:
    """Return an event as it would be published. Data that break the schema of its type are about nothing."""
    encoded = msgspec.json.encode(data)
    event = Event(
        id=ids.event_id(), organization_id=organization_id, event_code=event_code, data=encoded, created_at=now
    )
    reader = event_types.reader(event_code)
    with suppress(*INVALID):
        return event if reader is None else structs.replace(event, **structs.asdict(reader.read(encoded)))
    return event


def _result(webhook: Webhook, event: Event) -> MatchResult:
    subscription = subscription_of(webhook)
    found = matches(subscription, event)
    reasons: Iterable[str] = () if found.matches else why_not(subscription, event)
    return MatchResult(
        matches=found.matches,
        reasons=tuple(reasons),
        filter_error=found.filter_error,
        waits=found.matches and webhook.paused,
    )
