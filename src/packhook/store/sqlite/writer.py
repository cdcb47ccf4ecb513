"""Group commit: one connection writes, and the writes that wait share one transaction.

::

    submit(op, item) ─▶ fair queue ─▶ BEGIN ─ statements on the loop ─▶ COMMIT in a thread ─▶ results, on_commit
                            ▲                                              │
                            └───── collects while the disk is busy ◀───────┘

There is no timer: while one COMMIT waits for the disk, the next batch collects. The statements run on the event loop,
because a thread would compete with it for the interpreter lock; only COMMIT, which waits in ``fsync``, has a thread.
Large work pauses between slices inside its transaction. :class:`Checkpoints` keeps the log short that COMMIT writes to.

Organizations share the writer (core/fairness.py). A call that is large by itself holds it for long, and there is only
one: where several organizations write, large calls get a quarter of its time.

An operation takes the items of a batch at once and answers each. It may answer an item with a
:class:`~packhook.core.errors.RequestError` in place of a result, if it has written nothing for that item. Any other
exception rolls the transaction back; then each item is tried alone, so that one cannot fail the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import apsw
import structlog

from packhook.core.errors import RequestError, Unavailable
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT, OF_THE_NODE, WriteQueue
from packhook.store.fan_out import Slices, pause
from packhook.store.sqlite.connection import WAL_PAGES, Connection, connect
from packhook.store.sqlite.queries import database_errors
from packhook.telemetry.counts import StoreCounts

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")
A = TypeVar("A")
P = ParamSpec("P")

ROWS_OF_A_CALL: Final = 25
"""How many rows a call counts as that is run alone."""

OTHERS_SECONDS: Final = 1.0
"""For how long an organization counts as one that writes, too."""

LEFT_TO_OTHERS: Final = 3
"""How many times as long as a large call took they write before the next one: a call may have 16 MiB of events."""

BUSY_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.02

MAX_PASSES: Final = 4
MIN_PASS_PAGES: Final = 100
"""Fewer pages are left to a COMMIT."""


def _rows_of_a_call(_: object) -> int:
    return ROWS_OF_A_CALL


def _of_the_node(_: object) -> str:
    return OF_THE_NODE


def itself(result: R) -> R:
    """Reply with the whole result."""
    return result


@dataclass(frozen=True, slots=True, eq=False)
class WriteOp(Generic[I, R, A]):
    """Describe a write: ``run`` has a result for each item of a batch, and ``reply`` is what its caller gets of that.

    ``run`` may pause between slices of its work: no other write begins meanwhile.

    ``on_commit`` gets the results once they are durable. ``weigh`` returns about how many rows an item writes, and
    ``organization_of`` for whom.
    """

    run: Callable[[Connection, Sequence[I]], Awaitable[Sequence[R | RequestError]]]
    reply: Callable[[R], A]
    on_commit: Callable[[Sequence[R]], None] | None = None
    weigh: Callable[[I], int] = _rows_of_a_call
    organization_of: Callable[[I], str] = _of_the_node


@dataclass(slots=True, eq=False)
class _Job:
    op: WriteOp[Any, Any, Any]
    item: Any
    future: "asyncio.Future[Any]"
    organization_id: str
    result: Any = field(default=None)


class _BatchFailed(Exception):
    """Signal that the database failed, whatever it was asked to do: trying the items alone is of no use."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """Hold a write that is run alone, and the organization that asks for it."""

    organization_id: str
    run: Callable[[Connection], Any]


async def _run_alone(db: Connection, calls: Sequence[_Call]) -> list[Any]:
    """Run calls one at a time; a RequestError that one raises before its first write is its answer."""

    def answer(call: _Call) -> Any:  # noqa: ANN401 whatever the call returns
        try:
            return call.run(db)
        except RequestError as error:
            return error

    answers: list[Any] = []
    work = Slices()
    for call in calls:
        answers.append(answer(call))
        if work.ends(ROWS_OF_A_CALL):
            await pause()
    return answers


_SINGLE: Final[WriteOp[_Call, Any, Any]] = WriteOp(_run_alone, itself, organization_of=attrgetter("organization_id"))


class Writer:
    """Own the one connection that writes, and the task that batches. Created inside the running event loop."""

    def __init__(self, db: Connection, counts: StoreCounts) -> None:
        self._db = db
        self._counts = counts
        self._db.set_busy_timeout(0)  # nothing waits on the event loop
        self._loop = asyncio.get_running_loop()
        self._commit_thread = ThreadPoolExecutor(1, "packhook-commit")
        self._pending: WriteQueue[_Job] = WriteQueue()
        self._large_at = 0.0
        self._large_of = OF_THE_NODE
        self._others_at = -OTHERS_SECONDS
        self._wakeup = asyncio.Event()
        self._closing = False
        self._task = self._loop.create_task(self._run(), name="packhook-writer")

    def submit(self, op: WriteOp[I, Any, A], item: I, weight: int | None = None) -> "asyncio.Future[A]":
        """Write this item in one of the next transactions; the future has its result once it is durable.

        ``weight``: what ``op.weigh`` says of it, if that is known. The future fails with the item's RequestError, or
        with Unavailable. Raises Unavailable once the writer is closing.
        """
        self.require_open()
        self._wakeup.set()
        job = _Job(op, item, self._loop.create_future(), op.organization_of(item))
        self._pending.add(job.organization_id, op.weigh(item) if weight is None else weight, job)
        return job.future

    def require_open(self) -> None:
        """Raise Unavailable once the writer is closing."""
        if self._closing:
            raise Unavailable("the store is closing")

    async def write(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do what :meth:`write_for` does, for the node itself."""
        return await self.write_for(OF_THE_NODE, work, *args, **kwargs)

    async def write_for(
        self,
        organization_id: str,
        work: Callable[Concatenate[Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Return the result of ``work(connection, …)`` once it is durable. Raises its RequestError, or Unavailable."""
        result: R = await self.submit(_SINGLE, _Call(organization_id, lambda db: work(db, *args, **kwargs)))
        return result

    @property
    def is_alive(self) -> bool:
        """Tell whether it still writes: it does until it is closed, or crashes."""
        return not self._task.done()

    async def close(self) -> None:
        """Commit what is pending, then disconnect."""
        self._closing = True
        self._wakeup.set()
        await self._task
        self._commit_thread.shutdown()
        self._db.close()

    async def _run(self) -> None:
        jobs: list[_Job] = []
        try:
            while self._pending or not self._closing:
                jobs, weight = self._pending.take(large=self._may_write_large())
                if not jobs:
                    await self._wait()
                elif weight > MAX_TRANSACTION_WEIGHT:
                    await self._write_large(jobs)
                else:
                    await self._write_batch(jobs)
                    self._note_others(jobs)
        except Exception:  # noqa: BLE001 whatever it was, no caller may wait for ever
            _log.exception("writer_crashed")
            self._closing = True
            for job in [*jobs, *self._pending.drain()]:
                _resolve(job.future, Unavailable("the writer has ended"))

    async def _wait(self) -> None:
        """Wait for a write, or until a large one that waits may begin."""
        self._wakeup.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._large_at if self._pending else None):
                await self._wakeup.wait()

    def _may_write_large(self) -> bool:
        return self._closing or self._loop.time() >= self._large_at

    async def _write_large(self, jobs: list[_Job]) -> None:
        """Write a call that is large by itself; where others write too, leave them time before the next one."""
        began = self._loop.time()
        await self._write_batch(jobs)
        ended = self._loop.time()
        self._large_of = jobs[-1].organization_id
        if began - self._others_at < OTHERS_SECONDS:
            self._large_at = ended + LEFT_TO_OTHERS * (ended - began)

    def _note_others(self, jobs: list[_Job]) -> None:
        """Note when an organization has written other than the one whose call was the last large one."""
        if any(job.organization_id not in (OF_THE_NODE, self._large_of) for job in jobs):
            self._others_at = self._loop.time()

    async def _write_batch(self, jobs: list[_Job]) -> None:
        try:
            await self._transact(jobs)
        except _BatchFailed as failed:
            self._counts.errors += 1
            for job in jobs:
                job.result = Unavailable(str(failed))
        except Exception as error:  # noqa: BLE001 whatever it was, it is the answer to the caller
            if len(jobs) > 1:
                for job in jobs:
                    await self._write_batch([job])
                return
            jobs[0].result = error
            self._counts.errors += isinstance(error, Unavailable)
        self._answer(jobs)

    async def _transact(self, jobs: list[_Job]) -> None:
        await self._begin()
        began = self._loop.time()
        with database_errors():
            try:
                for op, group in _by_op(jobs).items():
                    results = await op.run(self._db, [job.item for job in group])
                    for job, result in zip(group, results, strict=True):
                        job.result = result
                await self._commit()
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        self._counts.committed(self._loop.time() - began, len(jobs))

    async def _begin(self) -> None:
        """Begin a transaction; where another process has locked the file, wait for it off the event loop."""
        deadline = self._loop.time() + BUSY_SECONDS
        while not self._has_begun():
            if self._loop.time() > deadline:
                raise _BatchFailed("another process has the database locked")
            await asyncio.sleep(RETRY_SECONDS)

    def _has_begun(self) -> bool:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise _BatchFailed(f"the database could not begin a transaction: {error}") from error
        return True

    async def _commit(self) -> None:
        try:
            await self._loop.run_in_executor(self._commit_thread, partial(self._db.execute, "COMMIT"))
        except apsw.Error as error:
            raise _BatchFailed(f"the database could not commit: {error}") from error

    def _answer(self, jobs: list[_Job]) -> None:
        for job in jobs:
            _resolve(job.future, job.result if isinstance(job.result, Exception) else job.op.reply(job.result))
        for op, group in _by_op(jobs).items():
            if op.on_commit is not None:
                _call(op.on_commit, [job.result for job in group if not isinstance(job.result, Exception)])


class Checkpoints:
    """Move what one connection has written from the write-ahead log into the file, in a thread beside the writing.

    ::

        COMMIT ─▶ the log is long ─▶ passes in a thread, until little is left ─▶ the next COMMIT does the rest: only
                                     (the log grows meanwhile)                   a log that is moved as a whole
                                                                                 starts over

    SQLite's automatic checkpoint runs within a COMMIT, and everything waits for it: 35 ms for 4,000 pages. Only the
    last pass has to, because a log that grows meanwhile never starts over.
    """

    def __init__(self, db: apsw.Connection, path: str, pages: int = WAL_PAGES) -> None:
        self._connection = connect(path)
        self._executor = ThreadPoolExecutor(1, "packhook-checkpoint")
        self._pages = self._due_at = pages
        self._running: Future[None] | None = None
        self._is_nearly_done = self._has_failed = False
        db.set_wal_hook(self._on_commit)

    def close(self) -> None:
        """Wait for a running pass, then disconnect. Call it after the writing connection is closed."""
        self._executor.shutdown()
        self._connection.close()

    def _on_commit(self, db: apsw.Connection, _name: str, pages: int) -> int:
        """Start a checkpoint, or finish one. SQLite calls this within each COMMIT, which it must not break."""
        try:
            if self._is_nearly_done:
                self._is_nearly_done = False
                length, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                # A long read can keep pages in the log: try again when it is a quarter longer.
                self._due_at = self._pages if length == done else pages + self._pages // 4
            elif pages >= self._due_at and (self._running is None or self._running.done()):
                self._running = self._executor.submit(self._run_passes)
        except Exception as error:  # noqa: BLE001 an exception would look like a failed COMMIT, and it did not fail
            self._warn(error)
        return apsw.SQLITE_OK

    def _run_passes(self) -> None:
        try:
            before = 0
            for _ in range(MAX_PASSES):
                length, _ = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if length - before < MIN_PASS_PAGES:
                    break
                before = length
            self._is_nearly_done, self._has_failed = True, False
        except apsw.Error as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Log the first failure in a row. The log keeps growing and holds everything; the next commits try again."""
        if not self._has_failed:
            self._has_failed = True
            _log.warning("checkpoint_failed", detail=f"{type(error).__name__}: {error}")


def _resolve(future: "asyncio.Future[Any]", result: object) -> None:
    if future.done():
        return  # the caller was cancelled; the write goes on
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _call(on_commit: Callable[[Any], None], results: object) -> None:
    """Pass the results on. They are durable, whatever goes wrong in there."""
    try:
        on_commit(results)
    except Exception:  # noqa: BLE001 a fault of the callback may not end the only writer
        _log.exception("post_commit_callback_failed")


def _by_op(jobs: list[_Job]) -> dict[WriteOp[Any, Any, Any], list[_Job]]:
    groups: dict[WriteOp[Any, Any, Any], list[_Job]] = {}
    for job in jobs:
        groups.setdefault(job.op, []).append(job)
    return groups
