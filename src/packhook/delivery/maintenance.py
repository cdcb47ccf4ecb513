"""Clean up beside sending: retention, old keys, deliveries without a webhook, webhooks that fail for days."""

import asyncio
from typing import Final

import structlog

from packhook.core.clock import DAY, SECOND, Clock, to_rfc3339
from packhook.core.errors import Unavailable
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.retention import RetentionBatch

_log: Final = structlog.get_logger("packhook.maintenance")

INTERVAL_SECONDS: Final = 60.0
BATCH_SIZE: Final = 500


class Maintenance:
    """Work in small batches, so that no event waits long for one of them."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let ``run`` return after the current batch."""
        self._stop.set()

    async def run(self) -> None:
        """Do what is due, once a minute, until ``stop``."""
        while not self._stop.is_set():
            try:
                await self.run_once()
            except Unavailable as error:
                _log.error("maintenance_failed", detail=error.detail)
            except Exception:  # noqa: BLE001 the next round may succeed, and the node has other work
                _log.exception("maintenance_failed", detail="tried again")
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def run_once(self) -> None:
        """Do everything that is due now."""
        await self._disable_failing()
        await self._warn_failing()
        while not self._stop.is_set():
            now = self._clock.now()
            removed = await self._store.apply_retention(
                events_before=now - self._settings.retention,
                keys_before=now - DAY,
                audit_before=now - self._settings.audit_retention,
                now=now,
                limit=BATCH_SIZE,
            )
            if removed.is_done:
                return
            if removed == RetentionBatch(more=True):
                continue
            _log.info(
                "retention_run",
                events=removed.events,
                idempotency_keys=removed.idempotency_keys,
                canceled=removed.canceled,
                audit_entries=removed.audit_entries,
                replays=removed.replays,
                statistics=removed.statistics,
                portal_sessions=removed.portal_sessions,
                operator_sessions=removed.operator_sessions,
            )

    async def _disable_failing(self) -> None:
        now = self._clock.now()
        days = self._settings.disable_after / DAY
        disabled = await self._store.disable_failing(
            failing_for=self._settings.disable_after,
            now=now,
            reason=f"no delivery has succeeded for {days:g} days"
            if days >= 1
            else f"no delivery has succeeded for {self._settings.disable_after / SECOND:g} seconds",
        )
        for webhook_id in disabled:
            _log.warning("webhook_disabled", webhook_id=webhook_id, detail="it has failed for too long")

    async def _warn_failing(self) -> None:
        """Warn halfway to disabling a webhook, once, on one node."""
        after = self._settings.disable_after
        failing = await self._store.warn_failing(failing_for=after // 2, now=self._clock.now())
        for webhook_id, since in failing.items():
            _log.warning(
                "webhook_failing",
                webhook_id=webhook_id,
                failing_since=to_rfc3339(since),
                disables_at=to_rfc3339(since + after),
                detail="unless a delivery succeeds it will be disabled",
            )
