"""Write the results of attempts into the store, many in a transaction: while one batch is written the next gathers.

::

    fair queue ─▶ batch ─▶ store ─┬─ written ─▶ on_recorded
                                  ├─ the database is away ─▶ a pause, then the same batch
                                  └─ a row is refused ─▶ halves, down to it: without its response, or given up alone

Organizations are served in turn, by bytes: a thousand large responses to one do not stand before another's results.
Where only results of replayed deliveries wait, they wait a moment for others: a replay adds few transactions.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import structs

from packhook.core.errors import RowRefused, Unavailable
from packhook.core.fairness import WeightedFairQueue
from packhook.core.model import AttemptResult, Urgency
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.record")

MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""Bytes of a batch of several results: others wait for its transaction."""

REPLAYS_WAIT_SECONDS: Final = 0.05
"""For how long results of replayed deliveries wait where there is no other."""

RETRY_SECONDS: Final = 0.5
MAX_UNRECORDED_BYTES = 64 * 1024 * 1024
MAX_MESSAGE: Final = 1_000
OVERHEAD_BYTES: Final = 2_048
"""The approximate size of a result without the two bodies in it."""


class Recorder:
    """Take results at once, write them in batches, and keep them while the database is away.

    ``on_recorded`` gets each batch that is durable. ``on_pressure`` gets an organization and True when its results that
    wait take as much memory as is still free, so that nothing more of it is sent, and False when there is room again;
    attempts in flight may still add theirs.
    """

    def __init__(
        self,
        store: Store,
        on_recorded: Callable[[Sequence[AttemptResult]], None],
        on_pressure: Callable[[str, bool], None],
    ) -> None:
        self._store = store
        self._on_recorded = on_recorded
        self._on_pressure = on_pressure
        self._bytes = 0
        self._bytes_of: Counter[str] = Counter()
        self._paused: set[str] = set()
        self._waiting: WeightedFairQueue[AttemptResult] = WeightedFairQueue()
        self._count = 0
        self._count_live = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten: list[AttemptResult] = []
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()

    def add(self, result: AttemptResult) -> None:
        """Queue a result to be written; never blocks, never fails."""
        self._wake(result)
        organization_id = result.delivery.organization_id
        size = _size(result)
        self._waiting.add(organization_id, result)
        self._count += 1
        self._bytes += size
        self._bytes_of[organization_id] += size
        if organization_id not in self._paused and not self._has_room(organization_id):
            self._paused.add(organization_id)
            _log.warning(
                "sending_paused",
                organization_id=organization_id,
                count=self._count,
                detail="results wait for the database",
            )
            self._on_pressure(organization_id, True)

    def _wake(self, result: AttemptResult) -> None:
        """Let ``run`` write: at once, or soon where only results of replayed deliveries wait."""
        if result.delivery.urgency is not Urgency.REPLAY:
            self._count_live += 1
            self._arrived.set()
        elif not self._waiting:
            self._wake_soon()

    def _wake_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REPLAYS_WAIT_SECONDS, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._arrived.set()

    def _has_room(self, organization_id: str, part: int = 1) -> bool:
        """Return True while less than a ``part``-th of what is free waits for an organization."""
        return self._bytes_of[organization_id] * part <= MAX_UNRECORDED_BYTES - self._bytes

    def finish(self) -> None:
        """Let ``run`` return once everything is written, or at once if the database is away."""
        self._closing.set()
        self._arrived.set()

    async def run(self) -> None:
        """Write results until ``finish``."""
        while True:
            await self._arrived.wait()
            batch = self._unwritten or self._next_batch()
            if not batch:
                if self._closing.is_set():
                    return
                self._arrived.clear()
                continue
            done = await self._write(batch)
            self._unwritten = batch[done:]
            self._count -= done
            self._free_memory(batch[:done])
            if self._unwritten and self._closing.is_set():
                _log.error("unrecorded_attempts_dropped", count=self._count, detail="the database is away")
                return
            if self._waiting and not (self._count_live or self._unwritten or self._closing.is_set()):
                self._arrived.clear()
                self._wake_soon()

    def _next_batch(self) -> list[AttemptResult]:
        batch: list[AttemptResult] = []
        in_bytes = 0
        while self._waiting and len(batch) < MAX_BATCH:
            size = _size(self._waiting.peek())
            in_bytes += size
            if batch and in_bytes > MAX_BATCH_BYTES:
                break
            result = self._waiting.pop(size)
            self._count_live -= result.delivery.urgency is not Urgency.REPLAY
            batch.append(result)
        return batch

    def _free_memory(self, written: list[AttemptResult]) -> None:
        for result in written:
            size = _size(result)
            self._bytes -= size
            self._bytes_of[result.delivery.organization_id] -= size
        for organization_id in {result.delivery.organization_id for result in written}:
            if not self._bytes_of[organization_id]:
                del self._bytes_of[organization_id]
        for organization_id in [paused for paused in self._paused if self._has_room(paused, part=2)]:
            self._paused.discard(organization_id)
            self._on_pressure(organization_id, False)

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
        """Write a result that the database refuses without its response, or give it up.

        The lease of a delivery whose result was given up expires, and the delivery is sent again.
        """
        cut = _without_response(result)
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
            _log.error("record_cut", delivery_id=result.delivery.id, detail=f"recorded without its response: {error}")
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


def _without_response(result: AttemptResult) -> AttemptResult:
    """Return a result whose size is ours: without the headers and the body that the receiver sent."""
    message = result.attempt.error_message[:MAX_MESSAGE]
    made = structs.replace(result.attempt, response_headers=(), response_body=b"", error_message=message)
    return structs.replace(result, attempt=made)


def _size(result: AttemptResult) -> int:
    return len(result.attempt.response_body) + len(result.delivery.data) + OVERHEAD_BYTES
