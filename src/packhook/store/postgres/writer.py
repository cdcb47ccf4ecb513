"""Transactions: of several statements, or of one that is a transaction of its own.

::

    write(work) ─────────▶ BEGIN ─ work ─ COMMIT ─▶ answer
    write_alone(write) ──▶ one statement ─────────▶ answer
                                 └─ answer lost ─▶ end its process of the server ─▶ what is there? ─▶ answer

A write goes on when its caller is cancelled. Where the answer to a COMMIT, or to a statement that is a transaction of
its own, is lost with the connection, the database is asked what became of it, so that "raised" does mean "changed
nothing"; only where it cannot be asked in time, nobody knows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import asyncpg
import structlog

from packhook.core.errors import Unavailable
from packhook.store.postgres.asking import SQL, Backend, Db, InDoubt
from packhook.store.postgres.connection import Pool, database_errors

_log: Final = structlog.get_logger("packhook.store")

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

TRIES: Final = 5
ASK_FOR_SECONDS = 15.0
ASK_AGAIN_SECONDS: Final = 0.2
UNASKED: Final = "the database could not be asked what became of it"


class Alone(Protocol[R_co]):
    """A write that is one statement, and so a transaction of its own."""

    async def write(self, db: Db) -> R_co:
        """Do it; :class:`InDoubt` where the answer was lost."""
        ...

    async def seek(self, db: Db) -> R_co | None:
        """What came of a write that was in doubt; None where it was not done."""
        ...


class Writer:
    """Runs transactions, and knows which are under way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._closed = asyncio.Event()

    async def write(self, work: Callable[[Db], Awaitable[R]]) -> R:
        """Do this work in a transaction; returns when it is durable. Raises what the work raises, or Unavailable."""
        self.require_open()
        return await asyncio.shield(self.start(self.transact(work)))

    async def write_alone(self, write: "Alone[R]") -> R:
        """Do this, which is one statement; returns when it is durable. Raises what it raises, or Unavailable."""
        self.require_open()
        return await asyncio.shield(self.start(self._alone(write)))

    def require_open(self) -> None:
        """Unavailable once it is closing."""
        if self._closing:
            raise Unavailable("the store is closing")

    def start(self, writing: Coroutine[None, None, R]) -> asyncio.Task[R]:
        """Have this done whatever becomes of who asked for it."""
        task = asyncio.get_running_loop().create_task(writing)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def close(self) -> None:
        """Begin nothing new, and finish what is under way; each has its time limit."""
        self._closing = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._closed.set()

    async def transact(self, work: Callable[[Db], Awaitable[R]]) -> R:
        """The work in a transaction; anew where another one was in its way."""
        return await _unhindered(lambda: self._once(work))

    async def do_alone(self, write: "Alone[R]") -> R:
        """A statement without a transaction around it; anew where another one was in its way. It may raise InDoubt."""
        return await _unhindered(lambda: self._lent(write.write))

    async def resolve(self, write: "Alone[R]", doubt: InDoubt) -> R:
        """What came of a write that was in doubt; Unavailable where it was not done, or nobody knows.

        The process of the server that had it is ended. Once it is gone nothing more can come of what was said to it.
        """
        try:
            async with asyncio.timeout(ASK_FOR_SECONDS):
                while not await self._is_gone(doubt.backend):
                    await pause(self._closed, ASK_AGAIN_SECONDS)
                result = await self._sought(write)
        except TimeoutError:
            _log.error("commit_unknown", backend=doubt.backend and doubt.backend[0], detail=UNASKED)
            raise Unavailable(str(doubt)) from doubt
        if result is None:
            raise Unavailable(str(doubt)) from doubt
        return result

    async def _alone(self, write: "Alone[R]") -> R:
        try:
            return await self.do_alone(write)
        except InDoubt as error:
            doubt = error
        return await self.resolve(write, doubt)

    async def _sought(self, write: "Alone[R]") -> R | None:
        while True:
            with suppress(Unavailable):
                return await self._lent(write.seek)
            await pause(self._closed, ASK_AGAIN_SECONDS)

    async def _is_gone(self, backend: Backend | None) -> bool:
        if backend is None:
            return False
        with suppress(Unavailable):
            async with self._pool.lend() as db:
                return await db.first(SQL["end_backend"], *backend) is None
        return False

    async def _lent(self, work: Callable[[Db], Awaitable[R]]) -> R:
        async with self._pool.lend() as db:
            return await work(db)

    async def _once(self, work: Callable[[Db], Awaitable[R]]) -> R:
        async with self._pool.lend() as db:
            await db.begin()
            try:
                result = await work(db)
                number = await db.first(SQL["transaction_id"])
            except BaseException:
                await db.rollback()
                raise
            doubt = await _commit(db)
        if doubt is None or (number is not None and number[0] is not None and await self._was_committed(number[0])):
            return result
        raise doubt

    async def _was_committed(self, number: str) -> bool:
        try:
            async with asyncio.timeout(ASK_FOR_SECONDS):
                while True:
                    status = await self._status(number)
                    if status in ("committed", "aborted"):
                        return status == "committed"
                    await pause(self._closed, ASK_AGAIN_SECONDS)
        except TimeoutError:
            _log.error("commit_unknown", transaction=number, detail=UNASKED)
            return False

    async def _status(self, number: str) -> str | None:
        try:
            async with self._pool.lend() as db:
                row = await db.first(SQL["transaction_status"], number)
        except asyncpg.exceptions.InvalidParameterValueError:  # "in the future": it was lost before it was written
            return "aborted"
        except Unavailable:
            return None
        return None if row is None else row[0]


async def _commit(db: Db) -> Unavailable | None:
    """What went wrong, if anything did; then the transaction's fate is in doubt."""
    try:
        with database_errors():
            await db.commit()
    except Unavailable as error:
        return error
    return None


async def _unhindered(do: Callable[[], Awaitable[R]]) -> R:
    """A deadlock is nobody's fault: again."""
    for _ in range(TRIES - 1):
        try:
            return await do()
        except Unavailable as error:
            if not isinstance(error.__cause__, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
                raise
    return await do()


async def pause(over: asyncio.Event, seconds: float) -> None:
    """A moment before the next try, cut short by the end."""
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        return
