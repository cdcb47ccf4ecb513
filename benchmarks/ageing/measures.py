"""Read what a PostgreSQL has spent, and how large its tables are."""

import time
from types import TracebackType
from typing import Any, Final

import asyncpg
from msgspec import Struct

from benchmarks.database import WAL_BYTES, PostgresDatabases
from benchmarks.process_meter import cpu_seconds, ended_children_seconds

TABLES: Final = ("events", "deliveries", "attempts")
_SIZES: Final = """SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup
FROM pg_stat_user_tables WHERE schemaname = 'packhook' AND relname = ANY ($1::text[]) ORDER BY relname"""


class Cost(Struct, frozen=True, kw_only=True):
    """Tell what an event costs: microseconds of CPU, and bytes of WAL.

    ``server`` is PostgreSQL's CPU, 0 for a server elsewhere; ``caller`` that of the store's code, as a part of a node.
    """

    server: float
    caller: float
    wal: float

    @property
    def cpu(self) -> float:
        """Return both together."""
        return self.server + self.caller

    @property
    def line(self) -> str:
        """Return it as text."""
        return f"{self.server:6.1f} and {self.caller:6.1f} µs, {self.wal:6.0f} B of WAL"


class Spent(Struct, frozen=True, kw_only=True):
    """Hold what was spent: seconds of CPU by the server and by this process, and bytes of WAL."""

    server: float
    caller: float
    wal: int

    def since(self, before: "Spent", events: int) -> Cost:
        """Return the cost of each of so many events."""
        return Cost(
            server=(self.server - before.server) / events * 1e6,
            caller=(self.caller - before.caller) / events * 1e6,
            wal=(self.wal - before.wal) / events,
        )


class Table(Struct, frozen=True, kw_only=True):
    """Describe a table: bytes of the table itself and of its indexes, and its rows as the server counts them."""

    name: str
    table: int
    indexes: int
    live: int
    dead: int


class Hour(Struct, frozen=True, kw_only=True):
    """Hold what was measured in one compressed hour. The costs are per event that was published in it."""

    number: int
    events: int
    removed: int
    event: Cost
    retention: Cost
    claim_milliseconds: float
    list_milliseconds: float
    tables: list[Table]

    @property
    def size(self) -> int:
        """Return the bytes of all tables and indexes."""
        return sum(table.table + table.indexes for table in self.tables)

    @property
    def line(self) -> str:
        """Return it as a line."""
        dead = sum(table.dead for table in self.tables)
        live = sum(table.live for table in self.tables)
        return (
            f"hour {self.number:>3}: an event {self.event.line}; retention {self.retention.line}, "
            f"{self.removed:>6,} removed; "
            f"claim {self.claim_milliseconds:6.1f} ms, list {self.list_milliseconds:5.2f} ms; "
            f"{self.size / 2**20:7.1f} MiB, {live:>9,} live rows, {dead:>8,} dead"
        )


async def quicken_autovacuum(url: str) -> None:
    """Let autovacuum look for work as often as it can."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


class Database:
    """Ask a server about itself, over a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._processes = PostgresDatabases(url)
        self._connection: Any = None

    async def __aenter__(self) -> "Database":
        await self._processes.open()
        self._connection = await asyncpg.connect(self._url)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._connection.close()

    async def spent(self) -> Spent:
        """Return what the server has spent since it started, by backends that have ended too."""
        pids = self._processes.processes()
        cpu = sum(map(cpu_seconds, pids)) + (ended_children_seconds(pids[0]) if pids else 0.0)
        wal = int(await self._connection.fetchval(WAL_BYTES))
        return Spent(server=cpu, caller=time.process_time(), wal=wal)

    async def tables(self) -> list[Table]:
        """Return the size of each table that grows with events."""
        await self._connection.execute("SELECT pg_stat_clear_snapshot()")
        found = await self._connection.fetch(_SIZES, list(TABLES))
        return [Table(name=row[0], table=row[1], indexes=row[2], live=row[3], dead=row[4]) for row in found]
