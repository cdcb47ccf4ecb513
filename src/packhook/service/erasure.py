"""Erasure on request: the data of events go, the record that they were sent stays."""

from collections.abc import Sequence

from msgspec import Struct

from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import Clock
from packhook.store.base import Store


class Erased(Struct, frozen=True, kw_only=True):
    """Count the events that were erased, and their deliveries that were canceled."""

    events: int
    canceled: int


class Erasure:
    """Erase data, a transaction after another."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def erase_event(self, organization_id: str, event_id: str, by: Actor) -> Erased:
        """Erase an event; one that was erased stays as it is. Raise NotFound if there is none."""
        return await self._erase(organization_id, (event_id,), by)

    async def erase_subject(self, organization_id: str, subject: str, by: Actor) -> Erased:
        """Erase all events of a subject that were published before. What was erased stays so if it ends early."""
        total = Erased(events=0, canceled=0)
        after = ""
        while found := await self._store.erasure.find(organization_id, subject, after):
            done = await self._erase(organization_id, found, by)
            total = Erased(events=total.events + done.events, canceled=total.canceled + done.canceled)
            after = found[-1]
        return total

    async def _erase(self, organization_id: str, event_ids: Sequence[str], by: Actor) -> Erased:
        now = self._clock.now()
        entries = [
            entry(Action.EVENT_ERASED, by, now, organization_id=organization_id, object_id=event_id)
            for event_id in event_ids
        ]
        events = canceled = 0
        more = True
        while more:
            step = await self._store.erasure.erase(organization_id, event_ids, now, entries)
            events, canceled, more = events + step.events, canceled + step.canceled, step.more
        return Erased(events=events, canceled=canceled)
