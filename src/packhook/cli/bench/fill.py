"""Work that was there before: rows of history and of backlog, put straight into the store's tables, many at a time.

::

    history   events long delivered, by the webhooks of the run: an attempt each
    backlog   deliveries that wait for dead webhooks of another organization: half of these webhooks are held by their
              breaker with everything due, the other half wait for retries that are due in an hour

The node must not run meanwhile. The statements are in ``sql/``, the same names for both dialects.
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

from packhook.cli.bench.plan import EVENT_CODE, Plan

DEAD_WEBHOOKS: Final = 10
_CHUNK: Final = 50_000
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_HEADERS: Final = (
    '{"content-type":"application/json","user-agent":"packhook/0","webhook-id":"evt_00000000000000000000000000000000",'
    '"webhook-timestamp":"1760000000","webhook-signature":"v1,0000000000000000000000000000000000000000000=",'
    '"webhook-event":"order.created","webhook-attempt":"1"}'
)
_RETRY: Final = 1  # the urgency of one that was tried before

WebhookState = tuple[str, str]
"""An organization and one of its webhooks."""


class Rows(Struct, frozen=True, kw_only=True):
    """So many events from this number on, each with a delivery and an attempt, dealt out to these webhooks.

    Instants are milliseconds. ``due_at`` is None for what is delivered; lanes are then not touched.
    """

    first: int
    count: int
    targets: Sequence[WebhookState]
    created_at: int
    status: str
    status_code: int | None
    due_at: int | None = None
    held_until: int = 0


class _Tables(Protocol):
    """A connection that fills, whatever the dialect. Each chunk is a transaction."""

    async def run(self, name: str, values: Sequence[Any] = ()) -> None: ...

    async def begin(self) -> None: ...

    async def commit(self) -> None: ...

    async def close(self) -> None:
        """Leave the tables as one that has run for long has them: checkpointed, with statistics."""
        ...


async def fill(
    url: str, plan: Plan, live: Sequence[WebhookState], dead: Sequence[WebhookState], progress: Callable[[int], None]
) -> None:
    """Put the plan's history and backlog there; ``progress`` hears how many events are."""
    tables = await _open(url)
    try:
        done = 0
        for rows in _wanted(plan, live, dead, int(time.time() * 1000)):
            await _targets(tables, rows.targets)
            for first in range(rows.first, rows.first + rows.count, _CHUNK):
                until = min(first + _CHUNK, rows.first + rows.count)
                await _chunk(tables, rows, first, until, plan.data())
                done += until - first
                progress(done)
            if rows.due_at is not None:
                await tables.run("fill_lanes", (rows.due_at, rows.held_until))
            await tables.run("drop_targets")
    finally:
        await tables.close()


def _wanted(plan: Plan, live: Sequence[WebhookState], dead: Sequence[WebhookState], now: int) -> list[Rows]:
    half = plan.backlog // 2
    held, waiting = dead[: len(dead) // 2], dead[len(dead) // 2 :]
    every = [
        Rows(first=1, count=plan.history, targets=live, created_at=now - _DAY, status="delivered", status_code=200),
        Rows(
            first=1 + plan.history, count=half, targets=held, created_at=now - _DAY, status="pending",
            status_code=503, due_at=now - _HOUR, held_until=now + _DAY,
        ),
        Rows(
            first=1 + plan.history + half, count=plan.backlog - half, targets=waiting, created_at=now - _DAY,
            status="pending", status_code=500, due_at=now + _HOUR,
        ),
    ]  # fmt: skip
    return [rows for rows in every if rows.count]


async def _targets(tables: _Tables, targets: Sequence[WebhookState]) -> None:
    await tables.run("make_targets")
    for number, target in enumerate(targets):
        await tables.run("insert_target", (number, *target))


async def _chunk(tables: _Tables, rows: Rows, first: int, until: int, data: bytes) -> None:
    dealt = (first, until, len(rows.targets), rows.created_at, EVENT_CODE)
    urgency = 0 if rows.due_at is None else _RETRY
    url = "http://127.0.0.1/"
    await tables.begin()
    await tables.run("fill_events", (*dealt, data))
    await tables.run("fill_deliveries", (*dealt, rows.status, rows.due_at, urgency))
    await tables.run("fill_attempts", (first, until, rows.created_at, url, _HEADERS, rows.status_code))
    await tables.commit()


async def _open(url: str) -> _Tables:
    if url.startswith("sqlite"):
        return _Sqlite(url)
    settings = {"search_path": "packhook", "synchronous_commit": "off"}
    return _Postgres(await asyncpg.connect(url, server_settings=settings))


class _Sqlite:
    def __init__(self, url: str) -> None:
        self._db = apsw.Connection(url.removeprefix("sqlite:///"))
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -262144")

    async def run(self, name: str, values: Sequence[Any] = ()) -> None:
        await asyncio.to_thread(self._run, _sql("sqlite")[name], values)

    def _run(self, statement: str, values: Sequence[Any]) -> None:
        list(self._db.execute(statement, values))

    async def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        await asyncio.to_thread(self._run, "COMMIT", ())

    async def close(self) -> None:
        await asyncio.to_thread(self._run, "PRAGMA wal_checkpoint(TRUNCATE)", ())
        self._db.close()
        await asyncio.to_thread(os.sync)  # or the node's first checkpoint would have to


class _Postgres:
    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def run(self, name: str, values: Sequence[Any] = ()) -> None:
        await self._connection.execute(_sql("postgres")[name], *values, timeout=600)

    async def begin(self) -> None:
        await self._connection.execute("BEGIN")

    async def commit(self) -> None:
        await self._connection.execute("COMMIT")

    async def close(self) -> None:
        for table in ("events", "deliveries", "attempts", "lanes"):
            await self._connection.execute(f"VACUUM (ANALYZE) {table}", timeout=600)
        await self._connection.execute("CHECKPOINT", timeout=600)
        await self._connection.close()


@cache
def _sql(dialect: str) -> dict[str, str]:
    folder = files("packhook.cli.bench") / "sql" / dialect
    return {entry.name.removesuffix(".sql"): entry.read_text("utf-8") for entry in folder.iterdir()}
