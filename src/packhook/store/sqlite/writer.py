"""Group commit: one connection writes; what waits together shares one transaction.

::

    begin(work, item) ─▶ waiting ─▶ BEGIN ─ work on the loop ─▶ COMMIT in a thread ─▶ after(), answers
                            ▲                                        │
                            └──── gathers while the disk is busy ◀───┘

No timer: while one COMMIT waits for the disk, the next batch gathers. The statements run on the event loop because a
thread would fight it for the interpreter lock; only the COMMIT, which sleeps in ``fsync``, has a thread.

A work function takes the items of its kind at once and answers each. It may answer an item with a
:class:`~packhook.core.errors.RequestError` in place of a result, if it has written nothing for that item. Any other
exception undoes the transaction; then each item is tried alone, so that one cannot spoil the others.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, TypeVar

import apsw
import structlog

from packhook.core.errors import RequestError, Unavailable
from packhook.store.callbacks import ended
from packhook.store.sqlite.connection import database_errors

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")

HEAVY: Final = 2_000
BUSY_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 0.02


class Work(Generic[I, R]):
    """Something to do in a transaction: ``run`` answers items one by one; ``after`` hears of them once committed.

    ``weigh`` is about how many rows an item writes: a transaction takes items until it is heavy enough.
    """

    __slots__ = ("after", "run", "weigh")

    def __init__(
        self,
        run: Callable[[apsw.Connection, Sequence[I]], list[R | RequestError]],
        after: Callable[[Sequence[R]], None] | None = None,
        weigh: Callable[[I], int] = lambda _: 1,
    ) -> None:
        self.run = run
        self.after = after
        self.weigh = weigh


class _Job:
    __slots__ = ("item", "result", "told", "work")

    def __init__(self, work: Work[Any, Any], item: Any, told: Callable[[Any], None]) -> None:  # noqa: ANN401 the work's
        self.work = work
        self.item = item
        self.told = told
        self.result: Any = None


class _AllFailed(Exception):
    """The database did not do it, whatever it was asked: no use to try the items one by one."""


class _Committer:
    """The thread that says COMMIT. An executor would do the same, and make a future and locks of its own for each.

    To begin, it needs the interpreter's lock. The loop lets go of that for a moment with each callback, and has it back
    before a thread that was woken can take it. So the loop waits until the thread has begun: that takes less time.
    """

    def __init__(self, db: apsw.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._db = db
        self._loop = loop
        self._begins = Lock()
        self._begins.acquire()
        self._asked: SimpleQueue[asyncio.Future[None] | None] = SimpleQueue()
        self._own_thread = Thread(target=self._run, name="packhook-commit", daemon=True)
        self._own_thread.start()

    def commit(self) -> "asyncio.Future[None]":
        """Done when it is on disk; what the database says against it is its exception."""
        end: asyncio.Future[None] = self._loop.create_future()
        self._asked.put(end)
        self._begins.acquire()
        return end

    def close(self) -> None:
        """Nothing is under way any more."""
        self._asked.put(None)
        self._own_thread.join()

    def _run(self) -> None:
        while (end := self._asked.get()) is not None:
            trouble: Exception | None = None
            self._begins.release()
            try:
                self._db.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 it is told to who waits
                trouble = error
            self._loop.call_soon_threadsafe(_tell_end, end, trouble)


def _tell_end(end: "asyncio.Future[None]", trouble: Exception | None) -> None:
    if end.done():
        return  # who waited was cancelled
    if trouble is None:
        end.set_result(None)
    else:
        end.set_exception(trouble)


class Writer:
    """The one connection that writes, and the task that batches. Made inside the running event loop."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._db.set_busy_timeout(0)  # nothing waits on the event loop
        self._loop = asyncio.get_running_loop()
        self._committer = _Committer(db, self._loop)
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._task = self._loop.create_task(self._run(), name="packhook-writer")

    def begin(self, work: Work[I, R], item: I, told: Callable[[R | Exception], None]) -> None:
        """Do this work for this item; ``told`` hears of it when it is on disk, or has its RequestError, or Unavailable.

        Unavailable is raised where nothing is begun any more.
        """
        if self._closing:
            raise Unavailable("the store is closing")
        if not self._waiting:
            self._arrived.set()
        self._waiting.append(_Job(work, item, told))

    async def write(self, work: Work[I, R], item: I) -> R:
        """Do this work for this item; returns when it is on disk. Raises its RequestError, or Unavailable."""
        return await ended(partial(self.begin, work, item))

    @property
    def is_alive(self) -> bool:
        """Whether it still writes: it does until it is closed, or met a fault of its own."""
        return not self._task.done()

    async def close(self) -> None:
        """Commit what waits, then disconnect."""
        self._closing = True
        self._arrived.set()
        await self._task
        self._committer.close()
        self._db.close()

    async def _run(self) -> None:
        jobs: list[_Job] = []
        try:
            while self._waiting or not self._closing:
                jobs = []
                self._take_into(jobs)
                if jobs:
                    await self._write_batch(jobs)
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        except Exception:  # noqa: BLE001 whatever it was, nobody may wait for ever
            _log.exception("writer_crashed")
            self._closing = True
            for job in [*jobs, *self._waiting]:
                self._tell(job.told, Unavailable("the writer has ended"))

    def _take_into(self, jobs: list[_Job]) -> None:
        weight = 0
        while self._waiting and weight < HEAVY:
            weight += self._waiting[0].work.weigh(self._waiting[0].item)
            jobs.append(self._waiting.popleft())

    async def _write_batch(self, jobs: list[_Job]) -> None:
        is_spoiled = False
        try:
            await self._transact(jobs)
        except _AllFailed as refused:
            for job in jobs:
                job.result = Unavailable(str(refused))
        except Exception as error:  # noqa: BLE001 whatever it was, it is the answer of whoever waits
            is_spoiled = len(jobs) > 1
            jobs[0].result = error
        if is_spoiled:
            for job in jobs:
                await self._write_batch([job])
        else:
            self._answer(jobs)

    async def _transact(self, jobs: list[_Job]) -> None:
        await self._begin()
        with database_errors():
            try:
                for work, group in _by_work(jobs).items():
                    results = work.run(self._db, [job.item for job in group])
                    for job, result in zip(group, results, strict=True):
                        job.result = result
                await self._commit()
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    async def _begin(self) -> None:
        """Begin; where a foreign process has the file, wait for it, but not on the event loop."""
        deadline = self._loop.time() + BUSY_SECONDS
        while not self._has_begun():
            if self._loop.time() > deadline:
                raise _AllFailed("another process has the database locked")
            await asyncio.sleep(AGAIN_SECONDS)

    def _has_begun(self) -> bool:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise _AllFailed(f"the database did not begin: {error}") from error
        return True

    async def _commit(self) -> None:
        try:
            await self._committer.commit()
        except apsw.Error as error:
            raise _AllFailed(f"the database did not commit: {error}") from error

    def _answer(self, jobs: list[_Job]) -> None:
        for job in jobs:
            self._tell(job.told, job.result)
        for work, group in _by_work(jobs).items():
            if work.after is not None:
                self._tell(work.after, [job.result for job in group if not isinstance(job.result, Exception)])

    def _tell(self, listener: Callable[[Any], None], result: object) -> None:
        """What is committed is committed, whatever goes wrong in telling of it."""
        try:
            listener(result)
        except Exception:  # noqa: BLE001 a fault in whoever listens may not end the only writer
            _log.exception("post_commit_callback_failed")


def _by_work(jobs: list[_Job]) -> dict[Work[Any, Any], list[_Job]]:
    groups: dict[Work[Any, Any], list[_Job]] = {}
    for job in jobs:
        groups.setdefault(job.work, []).append(job)
    return groups


def one_by_one(run: Callable[[apsw.Connection, I], R]) -> Work[I, R]:
    """Work that takes its items one at a time; a RequestError it raises before its first write is the item's answer."""

    def answer(db: apsw.Connection, item: I) -> R | RequestError:
        try:
            return run(db, item)
        except RequestError as error:
            return error

    return Work(lambda db, items: [answer(db, item) for item in items])
