"""Group commit: what waits together is written by one statement.

::

    begin(item) ─▶ waiting ─▶ take ─▶ one statement ─▶ answers, after()      (a few at once)
                      ▲                     │  └─ in doubt ─▶ resolved apart, the others need not wait
                      └─ gathers meanwhile ◀┘
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

import asyncpg
import structlog

from packhook.core.errors import PackhookError, Unavailable
from packhook.store.callbacks import ended
from packhook.store.postgres.asking import InDoubt
from packhook.store.postgres.writer import Alone, Writer

_log: Final = structlog.get_logger("packhook.store")

I = TypeVar("I")  # noqa: E741 an item
R = TypeVar("R")

HEAVY: Final = 2_000
BATCHES_AT_ONCE: Final = 3


@dataclass(slots=True, eq=False)
class _Job(Generic[I, R]):
    item: I
    told: Callable[[R | Exception], None]


class Batches(Generic[I, R]):
    """A few batches are under way at once.

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
        write = self._make([job.item for job in jobs])
        try:
            results = await self._writer.do_alone(write)
        except InDoubt as doubt:
            self._writer.start(self._resolve(jobs, write, doubt))
            return
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

    async def _resolve(self, jobs: list[_Job[I, R]], write: Alone[list[R | PackhookError]], doubt: InDoubt) -> None:
        try:
            results = await self._writer.resolve(write, doubt)
        except Exception as error:  # noqa: BLE001 as above
            for job in jobs:
                _tell(job.told, error)
        else:
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
        _log.exception("post_commit_callback_failed")


def _is_of_an_item(error: Exception) -> bool:
    """Whether the others may do well without the one it is about: not so where the database itself is in trouble."""
    return not isinstance(error, Unavailable) or isinstance(
        error.__cause__, asyncpg.exceptions.IntegrityConstraintViolationError
    )
