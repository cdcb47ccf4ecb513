"""Show that this node is alive, and release what dead nodes had leased.

::

    connect ─ hold the own lock ─ store the range of own leases ─▶ say how it is, check peers ─ pause ─▶ …
                                                                     └─▶ missing twice in a row: release its leases

A process that dies closes its connections, and with them its advisory lock is released: the others have its deliveries
within seconds, without a heartbeat to write. A slow node keeps its lock, and its leases run out as usual. A node that
was wrongly declared dead settles nothing with its old leases. While the database is away no node is declared dead.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any, Final

import asyncpg
import structlog

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.store.postgres.connection import SETTINGS, connect, database_errors
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.writer import pause

_log: Final = structlog.get_logger("packhook.store")

CHECK_SECONDS: Final = 2.0
LEASE_RANGE: Final = 2**40
"""How many leases a node may give out in its life, from its first on."""


class NodeLiveness:
    """Show that one node is alive. Created inside the running loop; ``on_released`` gets the lanes of dead nodes."""

    def __init__(self, url: str, clock: Clock, on_released: Callable[[Collection[str], int], None]) -> None:
        self._url = url
        self._clock = clock
        self._first_lease = 0
        self._leasing = asyncio.Event()
        self._on_released = on_released
        self._id = secrets.randbits(62)
        self._status = b""
        self._stored_status = b""
        self._missing: set[int] = set()
        self._closing = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-liveness")

    def start(self, first_lease: int) -> None:
        """Show that this node is alive from now on, with leases from this number on; before, it has none to lose."""
        if not self._leasing.is_set():
            self._first_lease = first_lease
            self._leasing.set()

    def report(self, status: bytes) -> None:
        """Store what this node says about itself with the next check, in place of what it said before."""
        self._status = status

    async def close(self) -> None:
        """Leave: release the lock and delete the row."""
        self._closing.set()
        self._leasing.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        await self._leasing.wait()
        while not self._closing.is_set():
            try:
                connection = await connect(self._url, SETTINGS)
            except Unavailable:
                await pause(self._closing, CHECK_SECONDS)
                continue
            try:
                with database_errors():
                    await self._hold_lock(connection)
            except Unavailable as error:
                _log.warning("liveness_connection_lost", detail=error.detail)
                self._missing.clear()
                await pause(self._closing, CHECK_SECONDS)
            finally:
                connection.terminate()

    async def _hold_lock(self, connection: "asyncpg.Connection[Any]") -> None:
        db = Db(connection)
        last_lease = self._first_lease + LEASE_RANGE
        await db.fetch_all(SQL["lock_node"], self._id)
        await db.fetch_all(SQL["insert_node"], self._id, self._first_lease, last_lease, self._clock.now())
        self._stored_status = b""
        while not self._closing.is_set():
            await self._store_status(db)
            await self._check_peers(connection)
            await pause(self._closing, CHECK_SECONDS)
        await db.fetch_all(SQL["delete_node"], self._id)

    async def _store_status(self, db: Db) -> None:
        status = self._status
        if status != self._stored_status:
            await db.fetch_all(SQL["report_node"], self._id, status.decode())
            self._stored_status = status

    async def _check_peers(self, connection: "asyncpg.Connection[Any]") -> None:
        """Release the leases of nodes that are missing and were missing at the last check, too."""
        db = Db(connection)
        released: list[str] = []
        now = self._clock.now()
        async with connection.transaction():
            missing = {row[0] for row in await db.fetch_all(SQL["missing_nodes"], self._id)}
            for node in missing & self._missing:
                released += await self._release(db, node, now)
        self._missing = missing
        if released:
            self._on_released(set(released), now)

    async def _release(self, db: Db, node: int, now: int) -> list[str]:
        found = await db.fetch_all(SQL["release_node"], node, now)
        lanes = sorted({(webhook_id, organization_id, now) for _, webhook_id, organization_id in found})
        await db.fetch_all(SQL["lower_lane_due_at"], *to_arrays(lanes, 3))
        await db.fetch_all(SQL["delete_node"], node)
        _log.warning("node_dead", deliveries=len(found), detail="outcomes unknown, sending them again")
        return [webhook_id for webhook_id, *_ in lanes]
