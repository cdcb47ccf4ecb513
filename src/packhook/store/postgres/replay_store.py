"""Implement the ReplayStore on PostgreSQL: each method names its work, and whether it reads or writes."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from functools import partial

from packhook.core.audit import AuditEntry
from packhook.core.fairness import OF_THE_NODE
from packhook.core.replay import MatchedSlice, Replay, ReplayQuery, ReplayStatus
from packhook.store.base import Page, PageRequest
from packhook.store.postgres import replays
from packhook.store.postgres.connection import READ_ONLY, connect, database_errors
from packhook.store.postgres.queries import Db, RunFor
from packhook.store.replay_steps import Scan, choose, scan_of
from packhook.store.replays import ReplayFilter, ReplayStep


class PostgresReplays:
    """See :class:`packhook.store.replays.ReplayStore` for every promise. ``notify_due`` gets webhooks with replays."""

    def __init__(
        self, url: str, read: RunFor, write: RunFor, notify_due: Callable[[Collection[str], int], None]
    ) -> None:
        self._url = url
        self._read = read
        self._write = write
        self._notify_due = notify_due

    async def match(self, query: ReplayQuery) -> AsyncGenerator[MatchedSlice, None]:
        """Match on a connection of its own, whose transaction holds the snapshot."""
        connection = await connect(self._url, READ_ONLY)
        try:
            with database_errors():
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    db = Db(connection)
                    selector = await replays.selector(db, query)
                    scan: Scan | None = scan_of(query)
                    while scan is not None:
                        candidates = await replays.scan_slice(db, query, scan)
                        yield await choose(selector, scan, candidates, partial(replays.read_events, db, query))
                        scan = scan.after(candidates)
        finally:
            connection.terminate()

    async def prepare(self, organization_id: str, limit: int) -> None:
        await self._read(organization_id, replays.prepare, organization_id, limit)

    async def add_events(
        self, organization_id: str, replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int
    ) -> None:
        await self._write(organization_id, replays.add_events, replay_id, number, chunks, now)

    async def discard_events(self, organization_id: str, replay_id: str) -> None:
        while await self._write(organization_id, replays.discard_events, replay_id):
            pass

    async def create(self, replay: Replay, entry: AuditEntry, limit: int) -> None:
        await self._write(replay.organization_id, replays.create, replay, entry, limit)

    async def get(self, organization_id: str, replay_id: str) -> Replay:
        return await self._read(organization_id, replays.get, organization_id, replay_id)

    async def list(self, organization_id: str, page: PageRequest, where: ReplayFilter) -> Page[Replay]:
        return await self._read(organization_id, replays.list_replays, organization_id, page, where)

    async def change(
        self, organization_id: str, replay_id: str, status: ReplayStatus, now: int, entry: AuditEntry
    ) -> Replay:
        return await self._write(organization_id, replays.change, organization_id, replay_id, status, now, entry)

    async def advance(self, now: int, chunks: int) -> ReplayStep | None:
        step = await self._write(OF_THE_NODE, replays.advance, now, chunks)
        if step is not None and step.queued:
            self._notify_due((step.replay.webhook_id,), now)
        return step
