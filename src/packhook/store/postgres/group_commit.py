"""Group commit: the writes that wait are written by one statement.

::

    submit(item) ─▶ fair queue ─▶ batch ─▶ one statement ─▶ results, on_commit      (a few at once)
                        ▲                      │  └─ outcome unknown ─▶ resolved apart, the others need not wait
                        └── collects meanwhile ◀┘

An item that is large by itself is a transaction of several statements, between which everything else on the event loop
runs. One place of the few is never taken by those, so that a small item does not wait for a large one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import asyncpg
import structlog

from packhook.core.errors import PackhookError, Unavailable
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT, WriteQueue
from packhook.store.postgres.queries import CommitOutcomeUnknown, Db
from packhook.store.postgres.writer import SingleStatement, Writer

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")
A = TypeVar("A")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

MAX_CONCURRENT_BATCHES: Final = 3
MAX_CONCURRENT_LARGE: Final = MAX_CONCURRENT_BATCHES - 1


class TooLarge(Exception):
    """Signal that a batch is more than one statement should write; nothing was written."""


class BatchOfWrites(SingleStatement[R_co], Protocol[R_co]):
    """Write a batch with one statement. ``write`` raises TooLarge where it takes several."""

    async def write_in_slices(self, db: Db) -> R_co:
        """Execute it in statements of bounded size, within the transaction that has begun."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WriteOp(Generic[I, R, A]):
    """Describe a write: ``make`` has a statement for the items of a batch, whose write has a result for each.

    A :class:`PackhookError` in place of a result is the item's answer, and nothing was written for it. ``reply`` is
    what the caller gets of a result. ``on_commit`` gets the results once they are durable. ``weigh`` returns about how
    many rows an item writes, and ``organization_of`` for whom.
    """

    make: Callable[[Sequence[I]], BatchOfWrites[list[R | PackhookError]]]
    reply: Callable[[R], A]
    on_commit: Callable[[Sequence[R]], None]
    weigh: Callable[[I], int]
    organization_of: Callable[[I], str]


@dataclass(slots=True, eq=False)
class _Job(Generic[I, A]):
    item: I
    future: "asyncio.Future[A]"


class GroupCommit(Generic[I, R, A]):
    """Write batches, a few at once. Where an item fails its batch, halves are tried apart, until it is alone."""

    def __init__(self, writer: Writer, op: WriteOp[I, R, A]) -> None:
        self._writer = writer
        self._op = op
        self._pending: WriteQueue[_Job[I, A]] = WriteQueue()
        self._running = 0
        self._large = 0

    def submit(self, item: I) -> "asyncio.Future[A]":
        """Write this item in one of the next batches; the future has its reply once it is durable.

        It fails with the item's RequestError, or with Unavailable. Raises Unavailable once the writer is closing.
        """
        self._writer.require_open()
        job: _Job[I, A] = _Job(item, asyncio.get_running_loop().create_future())
        self._pending.add(self._op.organization_of(item), self._op.weigh(item), job)
        if self._running < MAX_CONCURRENT_BATCHES:
            self._running += 1
            self._writer.start(self._run())
        return job.future

    async def _run(self) -> None:
        try:
            while True:
                jobs, weight = self._pending.take(large=self._large < MAX_CONCURRENT_LARGE)
                if not jobs:
                    return  # what waits is large: one that is written now goes on with it
                await self._write_counted(jobs, weight)
        finally:
            self._running -= 1

    async def _write_counted(self, jobs: list[_Job[I, A]], weight: int) -> None:
        is_large = weight > MAX_TRANSACTION_WEIGHT
        self._large += is_large
        try:
            await self._write_batch(jobs)
        finally:
            self._large -= is_large

    async def _write_batch(self, jobs: list[_Job[I, A]]) -> None:
        batch = self._op.make([job.item for job in jobs])
        try:
            results = await self._write(batch, len(jobs))
        except CommitOutcomeUnknown as unknown:
            self._writer.start(self._resolve(jobs, batch, unknown))
            return
        except Exception as error:  # noqa: BLE001 whatever it was, it is the answer to the caller
            if len(jobs) > 1 and _is_of_an_item(error):
                middle = len(jobs) // 2
                await self._write_batch(jobs[:middle])
                await self._write_batch(jobs[middle:])
                return
            _fail(jobs, error)
            return
        self._answer(jobs, results)

    async def _write(self, batch: BatchOfWrites[T], writes: int) -> T:
        try:
            return await self._writer.try_single(batch, writes)
        except TooLarge:
            return await self._writer.transact(batch.write_in_slices, writes)

    async def _resolve(
        self,
        jobs: list[_Job[I, A]],
        batch: BatchOfWrites[list[R | PackhookError]],
        unknown: CommitOutcomeUnknown,
    ) -> None:
        try:
            results = await self._writer.resolve(batch, unknown)
        except Exception as error:  # noqa: BLE001 as above
            _fail(jobs, error)
        else:
            self._answer(jobs, results)

    def _answer(self, jobs: list[_Job[I, A]], results: list[R | PackhookError]) -> None:
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, PackhookError):
                _fail([job], result)
            elif not job.future.done():  # else the caller was cancelled
                job.future.set_result(self._op.reply(result))
        try:
            self._op.on_commit([result for result in results if not isinstance(result, PackhookError)])
        except Exception:  # noqa: BLE001 what is committed is committed; a fault in there may not end the batches
            _log.exception("post_commit_callback_failed")


def _fail(jobs: list[_Job[I, Any]], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def _is_of_an_item(error: Exception) -> bool:
    """Return whether the other items may succeed without the failing one: not so where the database itself failed."""
    return not isinstance(error, Unavailable) or isinstance(
        error.__cause__, asyncpg.exceptions.IntegrityConstraintViolationError
    )
