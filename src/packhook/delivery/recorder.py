"""Settlements into the store, many to a transaction: while one batch is on its way to the disk, the next gathers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from packhook.core.errors import Unavailable
from packhook.core.model import AttemptResult
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.record")

MOST_IN_A_BATCH: Final = 500
RETRY_SECONDS: Final = 0.5
UNRECORDED_BYTES = 64 * 1024 * 1024
BESIDE_THE_BODIES: Final = 2_048
"""What a settlement takes, about, beside the two bodies in it."""


class Recorder:
    """Takes settlements at once, writes them in batches, and keeps them while the database is away.

    ``recorded`` hears of each batch that is durable; ``crowded`` hears when they take more memory than they may, so
    that no more is sent, and when there is room again. What is under way then still comes in.
    """

    def __init__(
        self, store: Store, recorded: Callable[[Sequence[AttemptResult]], None], crowded: Callable[[bool], None]
    ) -> None:
        self._store = store
        self._recorded = recorded
        self._crowded = crowded
        self._is_crowded = False
        self._bytes = 0
        self._waiting: list[AttemptResult] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()

    def add(self, result: AttemptResult) -> None:
        """Have this written soon; never blocks, never fails."""
        if not self._waiting:
            self._arrived.set()
        self._waiting.append(result)
        self._bytes += _size(result)
        if self._bytes > UNRECORDED_BYTES and not self._is_crowded:
            self._is_crowded = True
            _log.warning("sending_paused", count=len(self._waiting), detail="nothing is sent until there is room")
            self._crowded(True)

    def finish(self) -> None:
        """Let :meth:`run` return once everything is written, or at once where the database is away."""
        self._closing.set()
        self._arrived.set()

    async def run(self) -> None:
        """Write until told to finish."""
        while True:
            await self._arrived.wait()
            if not self._waiting:
                if self._closing.is_set():
                    return
                self._arrived.clear()
                continue
            batch = self._waiting[:MOST_IN_A_BATCH]
            done = await self._write(batch)
            del self._waiting[:done]
            self._make_room(batch[:done])
            if done < len(batch) and self._closing.is_set():
                _log.error("unrecorded_attempts_dropped", count=len(self._waiting), detail="the database is away")
                return

    def _make_room(self, written: list[AttemptResult]) -> None:
        for result in written:
            self._bytes -= _size(result)
        if self._is_crowded and self._bytes <= UNRECORDED_BYTES // 2:
            self._is_crowded = False
            self._crowded(False)

    async def _write(self, batch: list[AttemptResult]) -> int:
        """How many of them, from the first on, need not be written again."""
        settled = await self._settled(batch)
        if isinstance(settled, Unavailable):
            _log.error("record_failed", count=len(batch), detail=settled.detail)
            await self._pause()
            return 0
        if isinstance(settled, Exception):
            return await self._write_apart(batch, settled)
        self._recorded([result for result, kept in zip(batch, settled, strict=True) if kept])
        for result, kept in zip(batch, settled, strict=True):
            if not kept:
                _log.warning("lease_lost", delivery_id=result.delivery.id, detail="another node has it; not settled")
        return len(batch)

    async def _settled(self, batch: list[AttemptResult]) -> Sequence[bool] | Exception:
        try:
            return await self._store.record(batch)
        except Exception as error:  # noqa: BLE001 one settlement that cannot be written may not stop the others
            return error

    async def _write_apart(self, batch: list[AttemptResult], error: Exception) -> int:
        """One by one, until the database is away.

        What cannot be written even alone is given up: its lease runs out, and it is sent again.
        """
        if len(batch) == 1:
            _log.error("record_rejected", delivery_id=batch[0].delivery.id, exc_info=error)
            return 1
        for done, result in enumerate(batch):
            if not await self._write([result]):
                return done
        return len(batch)

    async def _pause(self) -> None:
        """A moment before the next try, cut short by the end."""
        try:
            await asyncio.wait_for(self._closing.wait(), RETRY_SECONDS)
        except TimeoutError:
            return


def _size(result: AttemptResult) -> int:
    return len(result.attempt.response_body) + len(result.delivery.data) + BESIDE_THE_BODIES
