"""Clean up beside sending: retention, old keys, deliveries without a webhook, webhooks that fail for days."""

import asyncio
from typing import Final

import structlog

from packhook.core.clock import DAY, HOUR, SECOND, Clock, to_rfc3339
from packhook.core.errors import Unavailable
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.retention import RetentionBatch

_log: Final = structlog.get_logger("packhook.maintenance")

INTERVAL_SECONDS: Final = 60.0
BATCH_SIZE: Final = 500
CLOCK_TOLERANCE: Final = HOUR
HOLD: Final = DAY
"""How long a clock that was set forward is not believed: its operator has a day to notice, and loses nothing."""


class Maintenance:
    """Work in small batches, so that no event waits long for one of them."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._stop = asyncio.Event()
        self._seen_at = clock.now()
        self._seen_elapsed = clock.elapsed()
        self._ahead_since: int | None = None

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
        """Do everything that is due now; nothing while the clock may be wrong: what is deleted does not come back."""
        if self._is_clock_ahead():
            return
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

    def _is_clock_ahead(self) -> bool:
        """Return whether the clock has gone further than time did since the last round, less than a day ago."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        ahead = now - self._seen_at - (elapsed - self._seen_elapsed)
        if ahead > CLOCK_TOLERANCE:
            if self._ahead_since is None:
                self._ahead_since = elapsed
                until = to_rfc3339(now + HOLD)
                _log.warning(
                    "clock_set_forward", seconds=round(ahead / SECOND), detail=f"nothing is deleted until {until}"
                )
            if elapsed - self._ahead_since < HOLD:
                return True
        self._seen_at, self._seen_elapsed, self._ahead_since = now, elapsed, None
        return False

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
