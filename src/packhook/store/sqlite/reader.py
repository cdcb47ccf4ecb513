"""Run reads in threads of their own, each with its own connection, so that a long list never delays an event.

Organizations are served in turn: the many reads of one do not stand before another's.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from packhook.core.errors import Unavailable
from packhook.core.fairness import OF_THE_NODE
from packhook.store.fair_gate import FairGate
from packhook.store.sqlite.connection import connect
from packhook.store.sqlite.queries import database_errors
from packhook.telemetry.counts import StoreCounts

T = TypeVar("T")
P = ParamSpec("P")


class Reader:
    """Read in a pool of threads. Each read sees every transaction that was committed before it began."""

    def __init__(self, path: str, counts: StoreCounts, threads: int) -> None:
        self._path = path
        self._counts = counts
        self._own = threading.local()
        self._connections: list[apsw.Connection] = []
        self._threads = ThreadPoolExecutor(threads, "packhook-read")
        self._gate = FairGate(threads)

    async def read(self, work: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what :meth:`read_for` does, for the node itself or its operator."""
        return await self.read_for(OF_THE_NODE, work, *args, **kwargs)

    async def read_for(
        self,
        organization_id: str,
        work: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the result of ``work(connection, …)``, run in a thread. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        async with self._gate.admit(organization_id):
            try:
                return await loop.run_in_executor(self._threads, self._run, lambda db: work(db, *args, **kwargs))
            except Unavailable:
                self._counts.errors += 1
                raise

    def close(self) -> None:
        """Wait for the reads in progress, then disconnect."""
        self._threads.shutdown()
        for db in self._connections:
            db.close()

    def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        with database_errors():
            return work(self._connection())

    def _connection(self) -> apsw.Connection:
        db: apsw.Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = connect(self._path)
            db.execute("PRAGMA query_only = ON")
            self._own.db = db
            self._connections.append(db)
        return db
