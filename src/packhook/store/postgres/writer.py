"""Run transactions: of several statements, or of one that is a transaction of its own.

::

    write(work) ──────────▶ BEGIN ─ work ─ COMMIT ─▶ answer
    execute_single(write) ▶ one statement ─────────▶ answer
                                  └─ answer lost ─▶ end its server process ─▶ was it written? ─▶ answer

A write goes on when its caller is cancelled. Where the answer to a COMMIT, or to a statement that is a transaction of
its own, is lost with the connection, the database is asked for its fate, so that "raised" does mean "changed nothing";
only where it cannot be asked in time, the fate stays unknown.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import asyncpg
import structlog

from packhook.core.errors import Unavailable
from packhook.store.postgres.connection import Pool, database_errors
from packhook.store.postgres.queries import SQL, Backend, CommitOutcomeUnknown, Db
from packhook.telemetry.counts import StoreCounts

_log: Final = structlog.get_logger("packhook.store")

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

MAX_TRIES: Final = 5
RESOLVE_SECONDS = 15.0
RETRY_SECONDS: Final = 0.2
UNRESOLVED: Final = "the database could not be asked whether it was committed"


class SingleStatement(Protocol[R_co]):
    """Write with one statement, which is a transaction of its own."""

    async def write(self, db: Db) -> R_co:
        """Execute it. Raises :class:`CommitOutcomeUnknown` where the answer was lost."""
        ...

    async def recover(self, db: Db) -> R_co | None:
        """Return the result of a write with an unknown outcome; None where it was not done."""
        ...


class Writer:
    """Run transactions, and track which are in progress."""

    def __init__(self, pool: Pool, counts: StoreCounts) -> None:
        self._pool = pool
        self._counts = counts
        self._in_progress: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._closed = asyncio.Event()

    async def write(self, work: Callable[[Db], Awaitable[R]]) -> R:
        """Return the result of ``work`` in a transaction, once it is durable. Raises its error, or Unavailable."""
        self.require_open()
        return await asyncio.shield(self.start(self.transact(work)))

    async def execute_single(self, write: "SingleStatement[R]") -> R:
        """Return the result of one statement, once it is durable. Raises its error, or Unavailable."""
        self.require_open()
        return await asyncio.shield(self.start(self._execute_single(write)))

    def require_open(self) -> None:
        """Raise Unavailable once it is closing."""
        if self._closing:
            raise Unavailable("the store is closing")

    def start(self, writing: Coroutine[None, None, R]) -> asyncio.Task[R]:
        """Run this to its end, also when its caller is cancelled."""
        task = asyncio.get_running_loop().create_task(writing)
        self._in_progress.add(task)
        task.add_done_callback(self._in_progress.discard)
        return task

    async def close(self) -> None:
        """Begin nothing new, and finish what is in progress; each write has its time limit."""
        self._closing = True
        while self._in_progress:
            await asyncio.wait(self._in_progress)
        self._closed.set()

    async def transact(self, work: Callable[[Db], Awaitable[R]], writes: int = 1) -> R:
        """Return the result of ``work``, so many writes, in a transaction; tried again after a deadlock."""
        return await _retry_on_deadlock(lambda: self._transact_once(work, writes))

    async def try_single(self, write: "SingleStatement[R]", writes: int = 1) -> R:
        """Return the result of one statement of so many writes; tried again after a deadlock.

        Raises CommitOutcomeUnknown.
        """
        return await _retry_on_deadlock(lambda: self._write_single(write, writes))

    async def resolve(self, write: "SingleStatement[R]", unknown: CommitOutcomeUnknown) -> R:
        """Return the result of a write with an unknown outcome. Raises Unavailable where it was not done.

        Also where its fate stays unknown. The server process that had it is ended: once it is gone, nothing that was
        sent to it can be executed any more.
        """
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                while not await self._is_gone(unknown.backend):
                    await pause(self._closed, RETRY_SECONDS)
                result = await self._recover(write)
        except TimeoutError:
            _log.error("commit_unknown", backend=unknown.backend and unknown.backend[0], detail=UNRESOLVED)
            raise Unavailable(str(unknown)) from unknown
        if result is None:
            raise Unavailable(str(unknown)) from unknown
        return result

    async def _execute_single(self, write: "SingleStatement[R]") -> R:
        try:
            return await self.try_single(write)
        except CommitOutcomeUnknown as error:
            unknown = error
        return await self.resolve(write, unknown)

    async def _recover(self, write: "SingleStatement[R]") -> R | None:
        while True:
            with suppress(Unavailable):
                return await self._with_connection(write.recover)
            await pause(self._closed, RETRY_SECONDS)

    async def _is_gone(self, backend: Backend | None) -> bool:
        if backend is None:
            return False
        with suppress(Unavailable):
            async with self._pool.acquire() as db:
                return await db.fetch_one(SQL["terminate_backend"], *backend) is None
        return False

    async def _write_single(self, write: "SingleStatement[R]", writes: int) -> R:
        async with self._pool.acquire() as db:
            began = time.monotonic()
            result = await write.write(db)
            self._counts.committed(time.monotonic() - began, writes)
            return result

    async def _with_connection(self, work: Callable[[Db], Awaitable[R]]) -> R:
        async with self._pool.acquire() as db:
            return await work(db)

    async def _transact_once(self, work: Callable[[Db], Awaitable[R]], writes: int) -> R:
        async with self._pool.acquire() as db:
            began = time.monotonic()
            await db.begin()
            try:
                result = await work(db)
                transaction = await db.fetch_one(SQL["transaction_id"])
            except BaseException:
                await db.rollback()
                raise
            error = await _commit(db)
            if error is None:
                self._counts.committed(time.monotonic() - began, writes)
        if error is None or (transaction is not None and await self._was_committed(transaction[0])):
            return result
        raise error

    async def _was_committed(self, transaction: str | None) -> bool:
        """Return the fate of a transaction; None is one that wrote nothing."""
        if transaction is None:
            return False
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                while True:
                    status = await self._status(transaction)
                    if status in ("committed", "aborted"):
                        return status == "committed"
                    await pause(self._closed, RETRY_SECONDS)
        except TimeoutError:
            _log.error("commit_unknown", transaction=transaction, detail=UNRESOLVED)
            return False

    async def _status(self, transaction: str) -> str | None:
        try:
            async with self._pool.acquire() as db:
                row = await db.fetch_one(SQL["transaction_status"], transaction)
        except asyncpg.exceptions.InvalidParameterValueError:  # "in the future": it was lost before it was written
            return "aborted"
        except Unavailable:
            return None
        return None if row is None else row[0]


async def _commit(db: Db) -> Unavailable | None:
    """Return the error of COMMIT, if any; then the transaction's fate is unknown."""
    try:
        with database_errors():
            await db.commit()
    except Unavailable as error:
        return error
    return None


async def _retry_on_deadlock(execute: Callable[[], Awaitable[R]]) -> R:
    for _ in range(MAX_TRIES - 1):
        try:
            return await execute()
        except Unavailable as error:
            if not isinstance(error.__cause__, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
                raise
    return await execute()


async def pause(closed: asyncio.Event, seconds: float) -> None:
    """Wait before the next try, or until closed."""
    try:
        async with asyncio.timeout(seconds):
            await closed.wait()
    except TimeoutError:
        return
