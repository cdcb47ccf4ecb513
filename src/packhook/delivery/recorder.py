"""Write the results of attempts into the store, many in a transaction: while one batch is written the next gathers.

::

    batch ─▶ store ─┬─ written ─▶ on_recorded
                    ├─ the database is away ─▶ a pause, then the same batch
                    └─ a row is refused ─▶ halves, down to it: without its answer, or given up alone
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import structs

from packhook.core.errors import RowRefused, Unavailable
from packhook.core.model import AttemptResult
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.record")

MAX_BATCH: Final = 500
RETRY_SECONDS: Final = 0.5
MAX_UNRECORDED_BYTES = 64 * 1024 * 1024
MAX_MESSAGE: Final = 1_000
OVERHEAD_BYTES: Final = 2_048
"""The approximate size of a result without the two bodies in it."""


class Recorder:
    """Take results at once, write them in batches, and keep them while the database is away.

    ``on_recorded`` gets each batch that is durable. ``on_pressure`` gets True when the results that wait take too much
    memory, so that nothing more is sent, and False when there is room again; attempts in flight may still add theirs.
    """

    def __init__(
        self, store: Store, on_recorded: Callable[[Sequence[AttemptResult]], None], on_pressure: Callable[[bool], None]
    ) -> None:
        self._store = store
        self._on_recorded = on_recorded
        self._on_pressure = on_pressure
        self._is_under_pressure = False
        self._bytes = 0
        self._waiting: list[AttemptResult] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()

    def add(self, result: AttemptResult) -> None:
        """Queue a result to be written; never blocks, never fails."""
        if not self._waiting:
            self._arrived.set()
        self._waiting.append(result)
        self._bytes += _size(result)
        if self._bytes > MAX_UNRECORDED_BYTES and not self._is_under_pressure:
            self._is_under_pressure = True
            _log.warning("sending_paused", count=len(self._waiting), detail="results wait for the database")
            self._on_pressure(True)

    def finish(self) -> None:
        """Let ``run`` return once everything is written, or at once if the database is away."""
        self._closing.set()
        self._arrived.set()

    async def run(self) -> None:
        """Write results until ``finish``."""
        while True:
            await self._arrived.wait()
            if not self._waiting:
                if self._closing.is_set():
                    return
                self._arrived.clear()
                continue
            batch = self._waiting[:MAX_BATCH]
            done = await self._write(batch)
            del self._waiting[:done]
            self._free_memory(batch[:done])
            if done < len(batch) and self._closing.is_set():
                _log.error("unrecorded_attempts_dropped", count=len(self._waiting), detail="the database is away")
                return

    def _free_memory(self, written: list[AttemptResult]) -> None:
        for result in written:
            self._bytes -= _size(result)
        if self._is_under_pressure and self._bytes <= MAX_UNRECORDED_BYTES // 2:
            self._is_under_pressure = False
            self._on_pressure(False)

    async def _write(self, batch: list[AttemptResult]) -> int:
        """Return how many results, from the first on, need not be written again."""
        try:
            recorded = await self._store.record(batch)
        except Exception as error:  # noqa: BLE001 one result that cannot be written must not stop the others
            if _is_away(error):
                return await self._wait_for_database(batch, error)
            return await (self._write_cut(batch[0], error) if len(batch) == 1 else self._write_halves(batch))
        self._report(batch, recorded)
        return len(batch)

    def _report(self, batch: list[AttemptResult], recorded: Sequence[bool]) -> None:
        self._on_recorded([result for result, kept in zip(batch, recorded, strict=True) if kept])
        for result, kept in zip(batch, recorded, strict=True):
            if not kept:
                _log.warning("lease_lost", delivery_id=result.delivery.id, detail="another node has it; not recorded")

    async def _wait_for_database(self, batch: list[AttemptResult], error: Exception) -> int:
        _log.error("record_failed", count=len(batch), detail=str(error))
        await self._pause()
        return 0

    async def _write_halves(self, batch: list[AttemptResult]) -> int:
        """Write a batch in parts, down to the result that cannot be written, until the database is away."""
        middle = len(batch) // 2
        done = await self._write(batch[:middle])
        return done if done < middle else middle + await self._write(batch[middle:])

    async def _write_cut(self, result: AttemptResult, error: Exception) -> int:
        """Write a result that the database refuses without its answer, or give it up.

        The lease of a delivery whose result was given up expires, and the delivery is sent again.
        """
        cut = _without_answer(result)
        if cut == result:
            _log.error("record_rejected", delivery_id=result.delivery.id, exc_info=error)
            return 1
        try:
            self._report([cut], await self._store.record([cut]))
        except Exception as again:  # noqa: BLE001 as above
            if _is_away(again):
                return await self._wait_for_database([result], again)
            _log.error("record_rejected", delivery_id=result.delivery.id, exc_info=again)
        else:
            _log.error("record_cut", delivery_id=result.delivery.id, detail=f"recorded without its answer: {error}")
        return 1

    async def _pause(self) -> None:
        """Wait a moment before the next try; ``finish`` ends the wait."""
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            return


def _is_away(error: Exception) -> bool:
    """Return True if any other result would fail as well."""
    return isinstance(error, Unavailable) and not isinstance(error, RowRefused)


def _without_answer(result: AttemptResult) -> AttemptResult:
    """Return a result whose size is ours: without the headers and the body that the receiver sent."""
    message = result.attempt.error_message[:MAX_MESSAGE]
    made = structs.replace(result.attempt, response_headers=(), response_body=b"", error_message=message)
    return structs.replace(result, attempt=made)


def _size(result: AttemptResult) -> int:
    return len(result.attempt.response_body) + len(result.delivery.data) + OVERHEAD_BYTES
