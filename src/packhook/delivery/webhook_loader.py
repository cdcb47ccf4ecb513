"""Load webhooks into their lanes. Lookups are batched: while one is under way, the next gathers ids.

::

    lane ─▶ WebhookLoader.load ─▶ WebhookLookup.find ─▶ Store.webhook_states (up to 500 ids) ─▶ prepare ─▶ lane
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.model import WebhookState
from packhook.delivery.attempt import prepare
from packhook.delivery.lane import Lane
from packhook.settings import Settings
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.webhooks")

MAX_BATCH: Final = 500

_Pending = tuple[str, asyncio.Future[WebhookState | None]]


class WebhookLoader:
    """Give lanes their webhooks. Made inside the running event loop."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._lookup = WebhookLookup(store.webhook_states)
        self._event_types = lambda: store.event_types.catalogue
        self._settings = settings
        self._clock = clock

    async def load(self, lane: Lane) -> bool:
        """Set the lane's webhook as it is now, and its hold. Return True if it may be sent to.

        If the webhook cannot be read the lane backs off, and False is returned.
        """
        try:
            state = await self._find_current(lane)
            lane.webhook = None if state is None else prepare(state, self._settings, self._event_types)
        except Unavailable as error:
            _log.warning("webhook_not_loaded", webhook_id=lane.webhook_id, detail=error.detail)
            lane.breaker.back_off(self._clock.now())
            return False
        except Exception:  # noqa: BLE001 a fault with one webhook must not stop the others
            _log.exception("webhook_not_loaded", webhook_id=lane.webhook_id)
            lane.breaker.back_off(self._clock.now())
            return False
        if state is None:
            return False
        lane.gone_since = state.gone_since
        lane.breaker.hold_until(state.held_until)
        if self._settings.require_endpoint_verification and state.webhook.verification_pending:
            lane.webhook = None  # not even what was leased before the verification was required may go
            return False
        return state.webhook.enabled and not state.webhook.paused

    async def _find_current(self, lane: Lane) -> WebhookState | None:
        """Look the webhook up again if it was changed meanwhile."""
        while True:
            generation = lane.generation
            state = await self._lookup.find(lane.webhook_id)
            if generation == lane.generation:
                return state


class WebhookLookup:
    """Read webhooks from the store's ``targets``, many at a time. Made inside the running event loop."""

    def __init__(self, targets: Callable[[Collection[str]], Awaitable[dict[str, WebhookState]]]) -> None:
        self._targets = targets
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Pending] = deque()
        self._running: asyncio.Task[None] | None = None

    async def find(self, webhook_id: str) -> WebhookState | None:
        """Return the webhook as it is after this call, None if it was deleted. Raise what the store raises."""
        future: asyncio.Future[WebhookState | None] = self._loop.create_future()
        self._pending.append((webhook_id, future))
        if self._running is None:
            self._running = self._loop.create_task(self._run(), name="packhook-webhook-lookup")
        return await future

    async def _run(self) -> None:
        try:
            while self._pending:
                size = min(len(self._pending), MAX_BATCH)
                await self._resolve([self._pending.popleft() for _ in range(size)])
        finally:
            self._running = None

    async def _resolve(self, batch: list[_Pending]) -> None:
        """Read a batch; if one webhook cannot be read, read each alone, so that the others are found."""
        try:
            found = await self._targets([webhook_id for webhook_id, _ in batch])
        except Exception as error:  # noqa: BLE001 raised by find
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for pending in batch:
                    await self._resolve([pending])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for webhook_id, future in batch:
                if not future.done():
                    future.set_result(found.get(webhook_id))
