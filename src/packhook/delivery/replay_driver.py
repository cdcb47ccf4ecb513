"""Drive replays: queue their events in small batches, paced, so that live events are not pushed aside.

::

    advance (some chunks, one transaction) ─▶ wait as long as that many deliveries take at the rate ─▶ advance …
                                                  └─ nothing due: look again after a moment

What a step queued is claimed at once and sent evenly (``replay_pace.py``). So steps are few and large: live events wait
for each transaction. Where a step takes long, the database or the machine is busy: then the next one waits longer, so
replays take no more than a part of the time. Any node drives any replay, one at a time. A node that dies loses its
transaction, and the next one goes on.
"""

import asyncio
from typing import Final

import structlog

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.replay import EVENTS_OF_A_CHUNK, ReplayStatus
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.replays import ReplayStep

_log: Final = structlog.get_logger("packhook.replay")

STEP_SECONDS: Final = 0.2
MAX_CHUNKS: Final = 5
"""A step has no more chunks: with SQLite its statements, and those of the claim after it, take a millisecond each."""

MAX_SHARE: Final = 0.1
"""Of the time, steps take at most this part."""

MAX_YIELD_SECONDS: Final = 1.0
"""But a replay gets on, however busy the machine is."""

IDLE_SECONDS: Final = 1.0
ERROR_SECONDS = 5.0


def chunks_at(rate: float) -> int:
    """Return how many chunks a step queues."""
    return min(MAX_CHUNKS, max(1, int(rate * STEP_SECONDS / EVENTS_OF_A_CHUNK)))


def seconds_after(step: ReplayStep | None, rate: float, took: float) -> float:
    """Return how long after its beginning the step after one that took so many seconds begins.

    So at most ``rate`` events are queued in a second, and fewer where others keep the database or the machine busy.
    """
    if step is None:
        return IDLE_SECONDS
    yielding = min(took / MAX_SHARE, took + MAX_YIELD_SECONDS)
    return max(yielding, step.queued / rate if step.queued else STEP_SECONDS)


class ReplayDriver:
    """Drive the replays of all organizations, the one that waits longest first."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._rate = settings.replay_rate
        self._clock = clock
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let ``run`` return after the current step."""
        self._stop.set()

    async def run(self) -> None:
        """Drive what is due, until ``stop``."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            try:
                step = await self.run_once()
            except Unavailable as error:
                _log.error("replay_failed", detail=error.detail)
                await self._pause(ERROR_SECONDS)
            except Exception:  # noqa: BLE001 the next step may succeed, and the node has other work
                _log.exception("replay_failed", detail="tried again")
                await self._pause(ERROR_SECONDS)
            else:
                took = loop.time() - began
                await self._pause(seconds_after(step, self._rate, took) - took)

    async def run_once(self) -> ReplayStep | None:
        """Drive one replay by one step; return it, None where none is due."""
        step = await self._store.replays.advance(self._clock.now(), chunks_at(self._rate))
        if step is not None and step.replay.status is ReplayStatus.FINISHED:
            replay = step.replay
            _log.info(
                "replay_finished",
                replay_id=replay.id,
                webhook_id=replay.webhook_id,
                matched=replay.matched,
                delivered=replay.delivered,
                failed=replay.failed,
            )
        return step

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return
