"""Group commit: the writes that wait are written by one statement.

::

    submit(item) ─▶ pending ─▶ batch ─▶ one statement ─▶ results, on_commit      (a few at once)
                       ▲                      │  └─ outcome unknown ─▶ resolved apart, the others need not wait
                       └── collects meanwhile ◀┘
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import asyncpg
import structlog

from packhook.core.errors import PackhookError, Unavailable
from packhook.store.postgres.queries import CommitOutcomeUnknown
from packhook.store.postgres.writer import SingleStatement, Writer

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")
A = TypeVar("A")

MAX_BATCH_WEIGHT: Final = 2_000
MAX_CONCURRENT_BATCHES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class WriteOp(Generic[I, R, A]):
    """Describe a write: ``make`` has a statement for the items of a batch, whose write has a result for each.

    A :class:`PackhookError` in place of a result is the item's answer, and nothing was written for it. ``reply`` is
    what the caller gets of a result. ``on_commit`` gets the results once they are durable. ``weigh`` returns about how
    many rows an item writes: a batch takes items until it is heavy enough.
    """

    make: Callable[[Sequence[I]], SingleStatement[list[R | PackhookError]]]
    reply: Callable[[R], A]
    on_commit: Callable[[Sequence[R]], None]
    weigh: Callable[[I], int]


@dataclass(slots=True, eq=False)
class _Job(Generic[I, A]):
    item: I
    future: "asyncio.Future[A]"


class GroupCommit(Generic[I, R, A]):
    """Write batches, a few at once. Where an item fails its batch, halves are tried apart, until it is alone."""

    def __init__(self, writer: Writer, op: WriteOp[I, R, A]) -> None:
        self._writer = writer
        self._op = op
        self._pending: deque[_Job[I, A]] = deque()
        self._running = 0

    def submit(self, item: I) -> "asyncio.Future[A]":
        """Write this item in one of the next batches; the future has its reply once it is durable.

        It fails with the item's RequestError, or with Unavailable. Raises Unavailable once the writer is closing.
        """
        self._writer.require_open()
        job: _Job[I, A] = _Job(item, asyncio.get_running_loop().create_future())
        self._pending.append(job)
        if self._running < MAX_CONCURRENT_BATCHES:
            self._running += 1
            self._writer.start(self._run())
        return job.future

    async def _run(self) -> None:
        try:
            while self._pending:
                await self._write_batch(self._take())
        finally:
            self._running -= 1

    def _take(self) -> list[_Job[I, A]]:
        jobs: list[_Job[I, A]] = []
        weight = 0
        while self._pending and weight < MAX_BATCH_WEIGHT:
            jobs.append(self._pending.popleft())
            weight += self._op.weigh(jobs[-1].item)
        return jobs

    async def _write_batch(self, jobs: list[_Job[I, A]]) -> None:
        statement = self._op.make([job.item for job in jobs])
        try:
            results = await self._writer.try_single(statement)
        except CommitOutcomeUnknown as unknown:
            self._writer.start(self._resolve(jobs, statement, unknown))
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

    async def _resolve(
        self,
        jobs: list[_Job[I, A]],
        statement: SingleStatement[list[R | PackhookError]],
        unknown: CommitOutcomeUnknown,
    ) -> None:
        try:
            results = await self._writer.resolve(statement, unknown)
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
