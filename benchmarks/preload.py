"""Write history and backlog straight into the store's tables, 50,000 events to a transaction.

::

    history   events delivered in the days before, to the webhooks of the run, with one attempt each
    backlog   deliveries that wait for dead webhooks of another organization: for one half of these webhooks everything
              is due and the circuit breaker is open, for the other half retries are due in an hour

PostgreSQL makes the secondary indexes anew after a million rows: that is quicker than to keep them. No node may run
meanwhile. The statements are in ``sql/``, with the same names for both dialects.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol

import apsw
import asyncpg
from msgspec import Struct

from benchmarks.plan import EVENT_CODE, Plan
from packhook.core.clock import DAY, HOUR
from packhook.core.statistics import OutcomeClass

DEAD_WEBHOOKS: Final = 10
_CHUNK: Final = 50_000
_SECONDS: Final = 1_800.0
_MANY: Final = 1_000_000
_HEADERS: Final = (
    '{"content-type":"application/json","user-agent":"packhook/0","webhook-id":"evt_00000000000000000000000000000000",'
    '"webhook-timestamp":"1760000000","webhook-signature":"v1,0000000000000000000000000000000000000000000=",'
    '"webhook-event":"order.created","webhook-attempt":"1"}'
)
_RETRY_URGENCY: Final = 1

WebhookKey = tuple[str, str]
"""The ids of an organization and of one of its webhooks."""


class RowBatch(Struct, frozen=True, kw_only=True):
    """Describe ``count`` events numbered from ``first``, each with a delivery and an attempt, spread over webhooks.

    Instants are milliseconds, ``interval`` is the microseconds between two events. ``due_at`` is None for delivered
    ones; then no lanes are written.
    """

    first: int
    count: int
    webhooks: Sequence[WebhookKey]
    created_at: int
    interval: int
    status: str
    status_code: int | None
    due_at: int | None = None
    held_until: int = 0


class _Loader(Protocol):
    """Run the statements of one dialect."""

    async def run(self, name: str, values: Sequence[Any] = ()) -> None: ...

    async def begin(self) -> None: ...

    async def commit(self) -> None: ...

    async def drop_indexes(self) -> None:
        """Drop what ``close`` makes anew, if that is quicker than to keep it."""
        ...

    async def close(self) -> None:
        """Make the indexes, checkpoint and analyze the tables, as a node that ran for long leaves them."""
        ...


async def preload(
    url: str, plan: Plan, live: Sequence[WebhookKey], dead: Sequence[WebhookKey], progress: Callable[[int], None]
) -> None:
    """Write the plan's history and backlog; call ``progress`` with the number of events written so far."""
    loader = await _open(url)
    try:
        done = 0
        if plan.history + plan.backlog >= _MANY:
            await loader.drop_indexes()
        for rows in _row_batches(plan, live, dead, int(time.time() * 1000)):
            await _create_slots(loader, rows.webhooks)
            for first in range(rows.first, rows.first + rows.count, _CHUNK):
                until = min(first + _CHUNK, rows.first + rows.count)
                await _insert_chunk(loader, rows, first, until, plan.data())
                done += until - first
                progress(done)
            if rows.due_at is not None:
                await loader.run("insert_lanes", (rows.due_at, rows.held_until))
            await loader.run("drop_webhook_slots")
    finally:
        await loader.close()


async def preload_statistics(url: str, live: Sequence[WebhookKey], dead: Sequence[WebhookKey]) -> None:
    """Write counts of a week for each webhook and for a node, as if attempts had ended in each bucket."""
    loader = await _open(url)
    try:
        for webhooks, outcome in ((live, OutcomeClass.DELIVERED), (dead, OutcomeClass.SERVER_ERROR)):
            await _create_slots(loader, webhooks)
            await loader.run("insert_statistics", (int(time.time() * 1000), outcome.value))
            await loader.run("drop_webhook_slots")
        await loader.run("sum_node_statistics")
    finally:
        await loader.close()


def _row_batches(plan: Plan, live: Sequence[WebhookKey], dead: Sequence[WebhookKey], now: int) -> list[RowBatch]:
    half = plan.backlog // 2
    broken, retrying = dead[: len(dead) // 2], dead[len(dead) // 2 :]
    batches = [
        RowBatch(
            first=1, count=plan.history, webhooks=live, created_at=now - (1 + plan.days) * DAY,
            interval=max(1, plan.days * DAY * 1_000 // max(1, plan.history)), status="delivered", status_code=200,
        ),
        RowBatch(
            first=1 + plan.history, count=half, webhooks=broken, created_at=now - DAY, interval=1, status="pending",
            status_code=503, due_at=now - HOUR, held_until=now + DAY,
        ),
        RowBatch(
            first=1 + plan.history + half, count=plan.backlog - half, webhooks=retrying, created_at=now - DAY,
            interval=1, status="pending", status_code=500, due_at=now + HOUR,
        ),
    ]  # fmt: skip
    return [batch for batch in batches if batch.count]


async def _create_slots(loader: _Loader, webhooks: Sequence[WebhookKey]) -> None:
    await loader.run("create_webhook_slots")
    for number, webhook in enumerate(webhooks):
        await loader.run("insert_webhook_slot", (number, *webhook))


async def _insert_chunk(loader: _Loader, rows: RowBatch, first: int, until: int, data: bytes) -> None:
    events = (first, until, len(rows.webhooks), rows.created_at, EVENT_CODE)
    urgency = 0 if rows.due_at is None else _RETRY_URGENCY
    url = "http://127.0.0.1/"
    await loader.begin()
    await loader.run("insert_events", (*events, data, rows.interval))
    await loader.run("insert_deliveries", (*events, rows.status, rows.interval, rows.due_at, urgency))
    await loader.run("insert_attempts", (first, until, rows.created_at, rows.interval, url, _HEADERS, rows.status_code))
    await loader.commit()


async def _open(url: str) -> _Loader:
    if url.startswith("sqlite"):
        return _SqliteLoader(url)
    settings = {"search_path": "packhook", "synchronous_commit": "off", "maintenance_work_mem": "512MB"}
    return _PostgresLoader(await asyncpg.connect(url, server_settings=settings))


class _SqliteLoader:
    def __init__(self, url: str) -> None:
        self._db = apsw.Connection(url.removeprefix("sqlite:///"))
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -262144")

    async def run(self, name: str, values: Sequence[Any] = ()) -> None:
        await asyncio.to_thread(self._run, _statements("sqlite")[name], values)

    def _run(self, statement: str, values: Sequence[Any]) -> None:
        list(self._db.execute(statement, values))

    async def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        await asyncio.to_thread(self._run, "COMMIT", ())

    async def drop_indexes(self) -> None:
        """Keep them: rows are written in their order."""

    async def close(self) -> None:
        await asyncio.to_thread(self._run, "PRAGMA wal_checkpoint(TRUNCATE)", ())
        self._db.close()
        await asyncio.to_thread(os.sync)  # otherwise the node's first checkpoint would pay for it


class _PostgresLoader:
    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self._dropped: list[tuple[str, str]] = []

    async def run(self, name: str, values: Sequence[Any] = ()) -> None:
        await self._connection.execute(_statements("postgres")[name], *values, timeout=_SECONDS)

    async def begin(self) -> None:
        await self._connection.execute("BEGIN")

    async def commit(self) -> None:
        await self._connection.execute("COMMIT")

    async def drop_indexes(self) -> None:
        self._dropped = [tuple(row) for row in await self._connection.fetch(_statements("postgres")["list_indexes"])]
        for name, _ in self._dropped:
            await self._connection.execute(f"DROP INDEX {name}")

    async def close(self) -> None:
        for _, definition in self._dropped:
            await self._connection.execute(definition, timeout=_SECONDS)
        for table in ("events", "deliveries", "attempts", "lanes", "statistics"):
            await self._connection.execute(f"VACUUM (ANALYZE) {table}", timeout=_SECONDS)
        await self._connection.execute("CHECKPOINT", timeout=_SECONDS)
        await self._connection.close()


@cache
def _statements(dialect: str) -> dict[str, str]:
    folder = files("benchmarks") / "sql" / dialect
    return {entry.name.removesuffix(".sql"): entry.read_text("utf-8") for entry in folder.iterdir()}
