"""Who is there: each node holds a lock for as long as its connection lives, and looks whether the others still do.

::

    connect ─ hold the own lock ─ say which leases are ours ─▶ look ─ pause ─▶ look …
                                                                └─▶ missing twice in a row: free what it had in hand

A process that dies closes its connections, and with them goes its lock: the others have its deliveries within seconds,
without a heartbeat to write. A node that is only slow keeps its lock; its leases run out as ever. One that was given up
wrongly settles nothing with its old leases. While the database is away nobody is given up.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any, Final

import asyncpg
import structlog

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.store.postgres.asking import SQL, Db
from packhook.store.postgres.connection import SETTINGS, connect, database_errors
from packhook.store.postgres.writer import pause

_log: Final = structlog.get_logger("packhook.store")

LOOK_SECONDS: Final = 2.0
LEASES: Final = 2**40
"""How many leases a node may give out in its life, from its first on."""


class Presence:
    """One node's, made inside the running event loop; ``freed`` hears whose deliveries were a dead node's."""

    def __init__(self, url: str, clock: Clock, freed: Callable[[Collection[str], int], None]) -> None:
        self._url = url
        self._clock = clock
        self._first_lease = 0
        self._leasing = asyncio.Event()
        self._freed = freed
        self._id = secrets.randbits(62)
        self._missing: set[int] = set()
        self._closing = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-presence")

    def leases_from(self, first_lease: int) -> None:
        """From now on this node leases, from this number on; before, nobody has to know of it."""
        if not self._leasing.is_set():
            self._first_lease = first_lease
            self._leasing.set()

    async def close(self) -> None:
        """Be there no more."""
        self._closing.set()
        self._leasing.set()
        await self._task

    async def _run(self) -> None:
        await self._leasing.wait()
        while not self._closing.is_set():
            try:
                connection = await connect(self._url, SETTINGS)
            except Unavailable:
                await pause(self._closing, LOOK_SECONDS)
                continue
            try:
                with database_errors():
                    await self._stay(connection)
            except Unavailable as error:
                _log.warning("liveness_connection_lost", detail=error.detail)
                self._missing.clear()
                await pause(self._closing, LOOK_SECONDS)
            finally:
                connection.terminate()

    async def _stay(self, connection: "asyncpg.Connection[Any]") -> None:
        db = Db(connection)
        await db.all(SQL["hold_node"], self._id)
        await db.all(SQL["insert_node"], self._id, self._first_lease, self._first_lease + LEASES, self._clock.now())
        while not self._closing.is_set():
            await self._look(connection)
            await pause(self._closing, LOOK_SECONDS)
        await db.all(SQL["delete_node"], self._id)

    async def _look(self, connection: "asyncpg.Connection[Any]") -> None:
        """Free what those had in hand that were missing the last time, too."""
        db = Db(connection)
        freed: list[str] = []
        now = self._clock.now()
        async with connection.transaction():
            missing = {row[0] for row in await db.all(SQL["missing_nodes"], self._id)}
            for node in missing & self._missing:
                freed += await self._free(db, node, now)
        self._missing = missing
        if freed:
            self._freed(set(freed), now)

    async def _free(self, db: Db, node: int, now: int) -> list[str]:
        rows = await db.all(SQL["free_node"], node, now)
        lanes = {(row[1], row[2]) for row in rows}
        webhook_ids = [webhook_id for webhook_id, _ in lanes]
        await db.all(
            SQL["lower_lane"], webhook_ids, [organization_id for _, organization_id in lanes], [now] * len(lanes)
        )
        await db.all(SQL["delete_node"], node)
        _log.warning("node_dead", deliveries=len(rows), detail="its outcomes are unknown, sent again")
        return webhook_ids
