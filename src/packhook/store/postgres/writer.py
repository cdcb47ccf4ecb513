"""Transactions: one for each write, or one for what waits together.

::

    write(work) ──────────────────────────────▶ BEGIN ─ work ─ COMMIT ─▶ answer
    write_alone(write) ───────────────────────▶ one statement ─▶ answer
    Batches.begin(item) ─▶ waiting ─▶ take ─▶ written alone ─▶ answers, after()      (a few at once)
                              ▲                      │
                              └─ gathers meanwhile ◀─┘

A write goes on when its caller is cancelled. Where the answer to a COMMIT, or to a statement that is a transaction of
its own, is lost with the connection, the database is asked what became of it, so that "raised" does mean "changed
nothing"; only where it cannot be asked in time, nobody knows.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

import asyncpg
import structlog

from packhook.core.errors import PackhookError, Unavailable
from packhook.store.ending import ended
from packhook.store.postgres.asking import SQL, Db, InDoubt
from packhook.store.postgres.connection import Pool, database_errors

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

HEAVY: Final = 2_000
BATCHES_AT_ONCE: Final = 3
TRIES: Final = 5
ASK_FOR_SECONDS: Final = 15.0
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
        return await asyncio.shield(self.start(self.do_alone(write)))

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
        """A statement without a transaction around it; anew where another one was in its way."""
        return await _unhindered(lambda: self._alone(write))

    async def _alone(self, write: "Alone[R]") -> R:
        try:
            async with self._pool.lend() as db:
                return await write.write(db)
        except InDoubt as error:
            doubt = error
        result = await self._asked(doubt, write)
        if result is None:
            raise doubt
        return result

    async def _asked(self, doubt: InDoubt, write: "Alone[R]") -> R | None:
        """What came of it: nothing more can, once the process of the server that did it is gone."""
        try:
            async with asyncio.timeout(ASK_FOR_SECONDS):
                while True:
                    with suppress(Unavailable):
                        async with self._pool.lend() as db:
                            if doubt.backend and await db.first(SQL["find_backend"], *doubt.backend) is None:
                                return await write.seek(db)
                    await pause(self._closed, ASK_AGAIN_SECONDS)
        except TimeoutError:
            _log.error("commit_unknown", backend=doubt.backend and doubt.backend[0], detail=UNASKED)
            return None

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


@dataclass(slots=True, eq=False)
class _Job(Generic[I, R]):
    item: I
    told: Callable[[R | Exception], None]


class Batches(Generic[I, R]):
    """Group commit: what waits together is written by one statement; a few of them are under way at once.

    ``make`` takes the items of a batch; its write answers each. A :class:`PackhookError` in place of a result is the
    item's answer, and nothing was written for it. ``after`` hears of the results once they are committed, and who waits
    for them was told. ``weigh`` is about how many rows an item writes: a batch takes items until it is heavy
    enough. Where an item spoils its batch, halves are tried apart, until it is alone.
    """

    def __init__(
        self,
        writer: Writer,
        make: Callable[[Sequence[I]], Alone[list[R | PackhookError]]],
        after: Callable[[Sequence[R]], None],
        weigh: Callable[[I], int],
    ) -> None:
        self._writer = writer
        self._make = make
        self._after = after
        self._weigh = weigh
        self._waiting: deque[_Job[I, R]] = deque()
        self._at_once = 0

    def begin(self, item: I, told: Callable[[R | Exception], None]) -> None:
        """Do this item's work; ``told`` hears of it when it is durable, or has its RequestError, or Unavailable.

        Unavailable is raised where nothing is begun any more.
        """
        self._writer.require_open()
        self._waiting.append(_Job(item, told))
        self._begin()

    async def write(self, item: I) -> R:
        """Do this item's work; returns when it is durable. Raises its RequestError, or Unavailable."""
        return await ended(partial(self.begin, item))

    def _begin(self) -> None:
        if self._waiting and self._at_once < BATCHES_AT_ONCE:
            self._at_once += 1
            self._writer.start(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._write_batch(self._take())
        finally:
            self._at_once -= 1

    def _take(self) -> list[_Job[I, R]]:
        jobs: list[_Job[I, R]] = []
        weight = 0
        while self._waiting and weight < HEAVY:
            jobs.append(self._waiting.popleft())
            weight += self._weigh(jobs[-1].item)
        return jobs

    async def _write_batch(self, jobs: list[_Job[I, R]]) -> None:
        try:
            results = await self._writer.do_alone(self._make([job.item for job in jobs]))
        except Exception as error:  # noqa: BLE001 whatever it was, it is the answer of whoever waits
            if len(jobs) > 1 and _is_of_an_item(error):
                middle = len(jobs) // 2
                await self._write_batch(jobs[:middle])
                await self._write_batch(jobs[middle:])
                return
            for job in jobs:
                _tell(job.told, error)
            return
        self._answer(jobs, results)

    def _answer(self, jobs: list[_Job[I, R]], results: list[R | PackhookError]) -> None:
        for job, result in zip(jobs, results, strict=True):
            _tell(job.told, result)
        _tell(self._after, [result for result in results if not isinstance(result, PackhookError)])


def _tell(listener: Callable[[Any], None], result: object) -> None:
    """What is committed is committed, whatever goes wrong in telling of it."""
    try:
        listener(result)
    except Exception:  # noqa: BLE001 a fault in whoever listens may not end the batches
        _log.exception("commit_not_told")


def _is_of_an_item(error: Exception) -> bool:
    """Whether the others may do well without the one it is about: not so where the database itself is in trouble."""
    return not isinstance(error, Unavailable) or isinstance(
        error.__cause__, asyncpg.exceptions.IntegrityConstraintViolationError
    )
