"""Fan out events that were stored without deliveries: by ``packhook.publish()`` in SQL, and by packhook itself.

::

    event and outbox entry ─ COMMIT ─▶ wake, or poll ─▶ fan out ─ delete from outbox ─ COMMIT ─▶ lanes
                                                        └──────── one transaction ────────┘

A node that dies in between has changed nothing: another node, or the next start, does it. Losing a wake-up costs at
most a poll.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_log: Final = structlog.get_logger("packhook.store")

POLL_SECONDS: Final = 2.0


class FanOutLoop:
    """Fan out whenever there is something. Created inside the running event loop.

    ``fan_out_batch`` fans out some events in a transaction, and returns whether there may be more.
    """

    def __init__(self, fan_out_batch: Callable[[], Awaitable[bool]]) -> None:
        self._fan_out_batch = fan_out_batch
        self._wakeup = asyncio.Event()
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-outbox")

    def wake(self) -> None:
        """Look into the outbox now."""
        self._wakeup.set()

    async def close(self) -> None:
        """Finish the batch in progress, and begin no other."""
        self._closing = True
        self._wakeup.set()
        await self._task

    async def _run(self) -> None:
        while not self._closing:
            self._wakeup.clear()
            try:
                if await self._fan_out_batch():
                    continue
            except Exception as error:  # noqa: BLE001 whatever it was, nothing was changed, and the poll tries again
                _log.warning("outbox_failed", detail=f"{type(error).__name__}: {error}")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return
