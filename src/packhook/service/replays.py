"""Replays: preview, create, pause, resume, cancel. ``delivery/replay_driver.py`` makes their deliveries."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec import Struct

from packhook.core import ids
from packhook.core.audit import Action, Actor, AuditEntry, Change, entry, remembered
from packhook.core.clock import SECOND, Clock, to_rfc3339
from packhook.core.errors import Conflict, FieldError, InvalidInput
from packhook.core.fairness import FairShare
from packhook.core.idempotency import Remember
from packhook.core.replay import EVENTS_OF_A_CHUNK, MAX_UNFINISHED, MatchedEvent, Replay, ReplayQuery, ReplayStatus
from packhook.service.pagination import Listing, listing
from packhook.store.base import PageRequest, Store
from packhook.store.replays import ReplayFilter

MAX_CONCURRENT_MATCHES: Final = 4
"""How many previews and creations read the history at once."""

PREVIEW_SECONDS: Final = 15
CREATION_SECONDS: Final = 20
"""How long one may read the history: clients and proxies wait 30 seconds. What was previewed can be created, too."""

SAMPLE: Final = 10

_ACTIONS: Final = {
    ReplayStatus.PAUSED: Action.REPLAY_PAUSED,
    ReplayStatus.RUNNING: Action.REPLAY_RESUMED,
    ReplayStatus.CANCELED: Action.REPLAY_CANCELED,
}


class Preview(Struct, frozen=True, kw_only=True):
    """Say what a replay would take: how many events, when they were published, and the ids of the first ones."""

    matched: int
    oldest: int | None
    newest: int | None
    sample: tuple[str, ...]


class Replays:
    """Manage the replays of organizations' webhooks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._matches = FairShare(MAX_CONCURRENT_MATCHES, "too many replays are being matched; try again")

    async def preview(self, query: ReplayQuery) -> Preview:
        """Return what a replay would take at this instant. Raises NotFound, Conflict, InvalidInput, Overloaded."""
        await self._require_enabled(query)
        matched, newest = 0, None
        last: tuple[MatchedEvent, ...] = ()
        with self._matches.reserve(query.organization_id) as place:
            place.grow(1)
            async with aclosing(self._match(query, PREVIEW_SECONDS)) as found:
                async for some in found:
                    matched += len(some)
                    newest = some[0].created_at if newest is None else newest
                    last = (*last, *some)[-SAMPLE:]
        oldest = last[-1].created_at if last else None
        return Preview(matched=matched, oldest=oldest, newest=newest, sample=tuple(event.id for event in last[::-1]))

    async def create(self, query: ReplayQuery, by: Actor, *, remember: Remember[Replay] | None = None) -> Replay:
        """Create a replay of the events that match at this instant; it runs at once.

        Raises NotFound without the webhook, Conflict where it is disabled or the organization has as many unfinished
        replays as it may have; InvalidInput where matching takes too long; Overloaded.
        """
        await self._store.replays.prepare(query.organization_id, MAX_UNFINISHED)
        await self._require_enabled(query)
        replay = _new(query, by, self._clock.now())
        is_created = False
        try:
            replay = msgspec.structs.replace(replay, matched=await self._store_events(replay, query))
            audit = remembered(_created_entry(replay, by), remember, replay)
            await self._store.replays.create(replay, audit, MAX_UNFINISHED)
            is_created = True
        finally:
            if not is_created:
                await self._store.replays.discard_events(replay.organization_id, replay.id)
        return replay

    async def get(self, organization_id: str, replay_id: str) -> Replay:
        """Return a replay with its progress."""
        return await self._store.replays.get(organization_id, replay_id)

    async def list(self, organization_id: str, page: PageRequest, where: ReplayFilter) -> Listing[Replay]:
        """Return a page, newest first."""
        return listing("replays", await self._store.replays.list(organization_id, page, where))

    async def change(self, organization_id: str, replay_id: str, status: ReplayStatus, by: Actor) -> Replay:
        """Pause, resume or cancel a replay. Raises NotFound, and Conflict where its status does not allow that."""
        now = self._clock.now()
        audit = entry(_ACTIONS[status], by, now, organization_id=organization_id, object_id=replay_id)
        return await self._store.replays.change(organization_id, replay_id, status, now, audit)

    async def _require_enabled(self, query: ReplayQuery) -> None:
        webhook = await self._store.get_webhook(query.organization_id, query.webhook_id)
        if not webhook.enabled:
            raise Conflict("the webhook is disabled: enable it first, then replay what it missed")

    async def _match(self, query: ReplayQuery, seconds: int) -> AsyncGenerator[Sequence[MatchedEvent], None]:
        """Yield what a replay takes, newest first. Raises InvalidInput where that takes longer."""
        ends = self._clock.elapsed() + seconds * SECOND
        async with aclosing(self._store.replays.match(query)) as found:
            async for some in found:
                if some.events:
                    yield some.events
                if some.back_to is not None and self._clock.elapsed() >= ends:
                    raise _too_long(some.back_to, seconds)

    async def _store_events(self, replay: Replay, query: ReplayQuery) -> int:
        """Store the events that match, in chunks, and return how many they are."""
        waiting: list[str] = []
        matched = number = 0
        with self._matches.reserve(query.organization_id) as place:
            place.grow(1)
            async with aclosing(self._match(query, CREATION_SECONDS)) as found:
                async for some in found:
                    matched += len(some)
                    waiting += [event.id for event in some]
                    full = len(waiting) // EVENTS_OF_A_CHUNK
                    await self._store_chunks(replay, number, waiting[: full * EVENTS_OF_A_CHUNK])
                    waiting, number = waiting[full * EVENTS_OF_A_CHUNK :], number + full
            await self._store_chunks(replay, number, waiting)
        return matched

    async def _store_chunks(self, replay: Replay, number: int, newest_first: Sequence[str]) -> None:
        chunks = [
            newest_first[start : start + EVENTS_OF_A_CHUNK][::-1]
            for start in range(0, len(newest_first), EVENTS_OF_A_CHUNK)
        ]
        if chunks:
            await self._store.replays.add_events(replay.organization_id, replay.id, number, chunks, replay.created_at)


def _too_long(back_to: int, seconds: int) -> InvalidInput:
    text = (
        f"it takes longer than {seconds} seconds to look at all these events; in that time only those since "
        f"{to_rfc3339(back_to)} were looked at: choose that time or a later one, then replay the rest in parts, "
        "with until"
    )
    return InvalidInput([FieldError("/since", "range_too_long", text)])


def _new(query: ReplayQuery, by: Actor, now: int) -> Replay:
    return Replay(
        id=ids.replay_id(),
        **msgspec.structs.asdict(query),
        status=ReplayStatus.RUNNING,
        matched=0,
        queued=0,
        delivered=0,
        failed=0,
        created_at=now,
        finished_at=None,
        created_by=by.name,
    )


def _created_entry(replay: Replay, by: Actor) -> AuditEntry:
    shown = {
        "webhook_id": replay.webhook_id,
        "select": replay.selection.value,
        "since": to_rfc3339(replay.since),
        "until": None if replay.until is None else to_rfc3339(replay.until),
        "event_codes": " ".join(replay.event_codes),
        "subject": replay.subject,
        "latest_only": replay.latest_only,
        "matched": str(replay.matched),
    }
    return entry(
        Action.REPLAY_CREATED,
        by,
        replay.created_at,
        organization_id=replay.organization_id,
        object_id=replay.id,
        changes=tuple(Change(name, None, value) for name, value in shown.items() if value),
    )
