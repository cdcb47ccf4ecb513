"""Endpoint verification: ask an endpoint whether it wants events, and record that it does.

::

    created, endpoint changed ─▶ verification_pending: deliveries wait ─┬─ OPTIONS in the background, up to 3 times ─┐
                                                                        ├─ OPTIONS on request ───────────────────────┼─▶ verified
                                                                        └─ a test event that is answered 2xx ────────┘
"""  # noqa: E501 a diagram

import asyncio
from typing import Any, Final

import msgspec
import structlog

from packhook.core.audit import NODE, Action, Actor, entry
from packhook.core.clock import SECOND, Clock
from packhook.core.endpoint_verification import Consent
from packhook.core.errors import Conflict, NotFound, Overloaded, Unavailable
from packhook.core.fairness import FairShare
from packhook.core.model import Attempt, Webhook, WebhookState
from packhook.delivery.probe import EndpointProbe
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.telemetry.request_ids import of_request

_log: Final = structlog.get_logger("packhook.ownership")

WAITS: Final = (0, 2 * SECOND, 15 * SECOND)  # before each try in the background
MAX_BACKGROUND: Final = 100
MAX_TRIES: Final = 5


class EndpointVerification:
    """Verify endpoints. Background tasks end with :meth:`close`.

    ``probes`` bounds how many requested verifications run at once, with a fair share by organization.
    """

    def __init__(self, store: Store, probe: EndpointProbe, probes: FairShare, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._probe = probe
        self._probes = probes
        self._background = FairShare(MAX_BACKGROUND, "too many at once: request it again")
        self._clock = clock
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_required = settings.require_endpoint_verification

    def is_pending(self, webhook: Webhook) -> bool:
        """Return True if the webhook's deliveries wait for its endpoint to be verified."""
        return self.is_required and webhook.verification_pending

    async def verify(self, organization_id: str, webhook_id: str, by: Actor) -> tuple[Attempt, Consent]:
        """Ask the endpoint now; record consent. Raise NotFound if the webhook is not this organization's.

        Raise Overloaded at once if too many run.
        """
        with self._probes.reserve(organization_id) as reservation:
            reservation.grow(1)
            webhook = await self._store.get_webhook(organization_id, webhook_id)
            target = (await self._store.webhook_states([webhook_id])).get(webhook_id)
            if target is None:
                raise NotFound(f"no webhook {webhook_id!r}")
            return await self._verify(msgspec.structs.replace(target, webhook=webhook), by)

    async def mark_verified_by_test(self, webhook: Webhook, by: Actor) -> None:
        """Record that the endpoint answered a test event with 2xx, if verification is required and missing."""
        if self.is_required and (webhook.verification_pending or webhook.verified_at is None):
            try:
                await self._record(webhook, "a test event", by)
            except Conflict as error:  # the caller asked for the exchange; the next test event records it
                _log.warning("webhook_not_verified", webhook_id=webhook.id, detail=error.detail)

    def schedule_verification(self, webhook: Webhook) -> None:
        """Ask the endpoint in the background, up to three times, if its verification is pending."""
        if not self.is_pending(webhook):
            return
        reservation = self._background.reserve(webhook.organization_id)
        try:
            reservation.grow(1)
        except Overloaded as error:
            _log.warning("webhook_not_verified", webhook_id=webhook.id, detail=error.detail)
            return
        task = asyncio.get_running_loop().create_task(
            of_request(self._run(webhook)), name=f"packhook-verify-{webhook.id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: reservation.release())

    async def close(self) -> None:
        """Cancel background tasks."""
        self._closing.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, webhook: Webhook) -> None:
        try:
            await self._verify_with_retries(webhook)
        except Exception:  # noqa: BLE001 the task is not awaited, so it logs its own faults
            _log.exception("webhook_not_verified", webhook_id=webhook.id)

    async def _verify_with_retries(self, webhook: Webhook) -> None:
        """Ask until the endpoint consents, the webhook is deleted, verified or changed, or the tries are used up."""
        detail = ""
        for wait in WAITS:
            await self._pause(wait)
            try:
                target = (await self._store.webhook_states([webhook.id])).get(webhook.id)
                if (
                    target is None
                    or not target.webhook.verification_pending
                    or target.webhook.endpoint != webhook.endpoint
                ):
                    return
                _, consent = await self._verify(target, NODE)
            except (NotFound, Conflict):
                return
            except Unavailable as error:
                detail = error.detail
                continue
            if consent.given:
                return
            detail = consent.error_message
        _log.warning("webhook_not_verified", webhook_id=webhook.id, detail=detail)

    async def _pause(self, milliseconds: int) -> None:
        try:
            async with asyncio.timeout(milliseconds / SECOND):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _verify(self, target: WebhookState, by: Actor) -> tuple[Attempt, Consent]:
        attempt, consent = await self._probe.request_verification(target)
        if consent.given:
            await self._record(target.webhook, "the handshake", by, allowed_rate=consent.allowed_rate)
        return attempt, consent

    async def _record(self, verified: Webhook, reason: str, by: Actor, **changes: Any) -> None:  # noqa: ANN401 a field has its own type
        """Store the verification, unless the endpoint was changed since it was asked."""
        for is_last in (*[False] * (MAX_TRIES - 1), True):
            before = await self._store.get_webhook(verified.organization_id, verified.id)
            if before.endpoint != verified.endpoint:
                return
            now = self._clock.now()
            after = msgspec.structs.replace(
                before, verification_pending=False, verified_at=now, version=before.version + 1, **changes
            )
            audit = entry(
                Action.WEBHOOK_VERIFIED, by, now, organization_id=verified.organization_id, object_id=verified.id,
                reason=reason,
            )  # fmt: skip
            try:
                await self._store.replace_webhook(after, audit)
            except Conflict:
                if is_last:
                    raise
            else:
                _log.info("webhook_verified", webhook_id=verified.id, by=reason)
                return
