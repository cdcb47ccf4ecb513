"""Implement the ReplayStore on SQLite: each method names its work, and whether it reads or writes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence

from packhook.core.audit import AuditEntry
from packhook.core.model import Event
from packhook.core.replay import MatchedSlice, Replay, ReplayQuery, ReplayStatus
from packhook.store.base import Page, PageRequest
from packhook.store.replay_steps import Scan, choose, scan_of
from packhook.store.replays import ReplayFilter, ReplayStep
from packhook.store.sqlite import replays
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqliteReplays:
    """See :class:`packhook.store.replays.ReplayStore` for every promise. ``notify_due`` gets webhooks with replays."""

    def __init__(
        self,
        new_reader: Callable[[int], Reader],
        reader: Callable[[], Reader],
        writer: Callable[[], Writer],
        notify_due: Callable[[Collection[str], int], None],
    ) -> None:
        self._new_reader = new_reader
        self._reader = reader
        self._writer = writer
        self._notify_due = notify_due

    async def match(self, query: ReplayQuery) -> AsyncGenerator[MatchedSlice, None]:
        """Match in a thread, with a connection that holds the snapshot."""
        snapshot = self._new_reader(1)
        try:
            selector = await snapshot.read(replays.begin_scan, query)

            def read(event_ids: Sequence[str]) -> Awaitable[Sequence[Event]]:
                return snapshot.read(replays.read_events, query, event_ids)

            scan: Scan | None = scan_of(query)
            while scan is not None:
                candidates = await snapshot.read(replays.scan_slice, query, scan)
                yield await choose(selector, scan, candidates, read)
                scan = scan.after(candidates)
        finally:
            await asyncio.to_thread(snapshot.close)

    async def prepare(self, organization_id: str, limit: int) -> None:
        await self._reader().read_for(organization_id, replays.prepare, organization_id, limit)

    async def add_events(
        self, organization_id: str, replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int
    ) -> None:
        await self._writer().write_for(organization_id, replays.add_events, replay_id, number, chunks, now)

    async def discard_events(self, organization_id: str, replay_id: str) -> None:
        while await self._writer().write_for(organization_id, replays.discard_events, replay_id):
            pass

    async def create(self, replay: Replay, entry: AuditEntry, limit: int) -> None:
        await self._writer().write_for(replay.organization_id, replays.create, replay, entry, limit)

    async def get(self, organization_id: str, replay_id: str) -> Replay:
        return await self._reader().read_for(organization_id, replays.get, organization_id, replay_id)

    async def list(self, organization_id: str, page: PageRequest, where: ReplayFilter) -> Page[Replay]:
        return await self._reader().read_for(organization_id, replays.list_replays, organization_id, page, where)

    async def change(
        self, organization_id: str, replay_id: str, status: ReplayStatus, now: int, entry: AuditEntry
    ) -> Replay:
        return await self._writer().write_for(
            organization_id, replays.change, organization_id, replay_id, status, now, entry
        )

    async def advance(self, now: int, chunks: int) -> ReplayStep | None:
        step = await self._writer().write(replays.advance, now, chunks)
        if step is not None and step.queued:
            self._notify_due((step.replay.webhook_id,), now)
        return step
