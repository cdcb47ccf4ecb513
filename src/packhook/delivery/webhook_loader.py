"""Webhooks are looked up together: while one question is under way, the next gathers what it will ask for."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from itertools import islice
from typing import Final

from packhook.core.errors import Unavailable
from packhook.core.model import WebhookState

AT_ONCE: Final = 500

_Asked = tuple[str, asyncio.Future[WebhookState | None]]


class Lookup:
    """Asks the store's ``targets`` for all that is wanted at the time. Made inside the running event loop."""

    def __init__(self, targets: Callable[[Collection[str]], Awaitable[dict[str, WebhookState]]]) -> None:
        self._targets = targets
        self._loop = asyncio.get_running_loop()
        self._wanted: deque[_Asked] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def find(self, webhook_id: str) -> WebhookState | None:
        """The webhook as it is after this call; None if it was deleted. Raises what the store raises."""
        end: asyncio.Future[WebhookState | None] = self._loop.create_future()
        self._wanted.append((webhook_id, end))
        if self._asking is None:
            self._asking = self._loop.create_task(self._run(), name="packhook-lookup")
        return await end

    async def _run(self) -> None:
        try:
            while self._wanted:
                asked = list(islice(self._wanted, AT_ONCE))
                for _ in asked:
                    self._wanted.popleft()
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: list[_Asked]) -> None:
        """One webhook's fault is not the others': they are asked for one by one then."""
        try:
            found = await self._targets([webhook_id for webhook_id, _ in asked])
        except Exception as error:  # noqa: BLE001 it is the answer of whoever waits
            if len(asked) > 1 and not isinstance(error, Unavailable):
                for each in asked:
                    await self._answer([each])
                return
            for _, end in asked:
                if not end.done():
                    end.set_exception(error)
        else:
            for webhook_id, end in asked:
                if not end.done():
                    end.set_result(found.get(webhook_id))
