"""Match events with the subscriptions of their organization, in slices: filters may be much work.

::

    Subscribers.of(event) ─▶ by event code, cached ─▶ no filters: that is all
                                                 └──▶ filters: FilterReader ─▶ core/subscription.py ─▶ Matched

The work of a call is bounded, as its deliveries are. A batch that is more is refused. Of one event, what is beyond the
bound counts as a match, as every filter does that has no value.
"""

from collections.abc import Sequence
from typing import Final

from packhook.core.errors import FieldError, InvalidInput
from packhook.core.filters import FilterReader
from packhook.core.model import Event
from packhook.core.subscription import Match, Subscription, matches
from packhook.store.fan_out import (
    MAX_DELIVERIES_PER_CALL,
    Candidates,
    Matched,
    Slices,
    Subscribers,
    pause,
    refusal_of,
)
from packhook.store.filter_errors import FilterError

MAX_STEPS_PER_CALL: Final = 5_000_000
"""How many steps (core/filters.py) the filters of one call may take: about half a second."""

STEPS_PER_ROW: Final = 50
TOO_MUCH: Final = Match(
    matches=True, filter_error="the filters of all webhooks together are too much work for one event"
)


async def match(events: Sequence[Event], subscribers: Subscribers, slices: Slices) -> Matched | InvalidInput:
    """Return who gets these events of an organization with filters; or why the call is refused."""
    await subscribers.compile_filters(slices)
    matching = _Matching(slices)
    found: list[Sequence[Subscription]] = []
    for event in events:
        found.append(await matching.of(event, subscribers.candidates(event)))
        if matching.deliveries > MAX_DELIVERIES_PER_CALL:
            return refusal_of(matching.deliveries, len(events)) or Matched(found)
        if matching.steps > MAX_STEPS_PER_CALL and len(events) > 1:
            text = "the filters of the webhooks are too much work for this batch: send smaller batches"
            return InvalidInput([FieldError("/events", "too_much_filtering", text)])
    return Matched(found, tuple(matching.errors.values()))


async def match_one(event: Event, subscribers: Subscribers, slices: Slices) -> Matched:
    """Return who gets an event that is stored already, however many they are."""
    if not subscribers.has_filters:
        return Matched((subscribers.of(event),))
    await subscribers.compile_filters(slices)
    matching = _Matching(slices)
    found = await matching.of(event, subscribers.candidates(event))
    return Matched((found,), tuple(matching.errors.values()))


class _Matching:
    """Match the events of one call."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self.steps = self.deliveries = 0
        self.errors: dict[str, FilterError] = {}

    async def of(self, event: Event, candidates: Candidates) -> Sequence[Subscription]:
        """Return who gets an event."""
        if not candidates.has_filters:
            self.deliveries += len(candidates.subscriptions)
            return candidates.subscriptions
        found = []
        before = self.steps
        reader = FilterReader(event, candidates.members, reads_event=candidates.reads_event)
        for subscription in candidates.subscriptions:
            done = reader.steps
            judged = matches(subscription, event, reader) if self.steps <= MAX_STEPS_PER_CALL else TOO_MUCH
            self.steps = before + reader.steps
            if judged.matches:
                found.append(subscription)
            if judged.filter_error:
                self._note(subscription, event, judged.filter_error)
            if self._slices.ends(1 + (reader.steps - done) // STEPS_PER_ROW):
                await pause()
        self.deliveries += len(found)
        return found

    def _note(self, subscription: Subscription, event: Event, message: str) -> None:
        error = FilterError.of(subscription, event, message)
        known = self.errors.get(subscription.webhook_id)
        self.errors[subscription.webhook_id] = error if known is None else known.joined(error)
