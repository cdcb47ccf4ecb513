"""Whether a webhook's endpoint has proven that it wants what it gets, and asking it.

::

    created, endpoint changed ─▶ verification_pending: deliveries wait ─┬─ OPTIONS, in the background, a few times ─┐
                                                               ├─ OPTIONS, when somebody asks for it ───────┼─▶ proven
                                                               └─ a test event that is answered 2xx ────────┘
"""

import asyncio
from typing import Any, Final

import msgspec
import structlog

from packhook.core.audit import NODE, Action, Actor, entry
from packhook.core.clock import SECOND, Clock
from packhook.core.endpoint_verification import Consent
from packhook.core.errors import Conflict, NotFound, Unavailable
from packhook.core.model import Attempt, Webhook, WebhookState
from packhook.delivery.engine import Engine
from packhook.settings import Settings
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.ownership")

WAITS: Final = (0, 2 * SECOND, 15 * SECOND)  # before each try in the background
MOST_AT_ONCE: Final = 100
TRIES: Final = 5


class Ownership:
    """Proofs of all webhooks. What it asks in the background ends with :meth:`close`."""

    def __init__(self, store: Store, engine: Engine, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock
        self._closing = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self.is_required = settings.require_endpoint_verification

    def is_held(self, webhook: Webhook) -> bool:
        """Whether its deliveries wait for a proof."""
        return self.is_required and webhook.verification_pending

    async def ask(self, organization_id: str, webhook_id: str, by: Actor) -> tuple[Attempt, Consent]:
        """Ask its endpoint now; consent is a proof. NotFound where the webhook is not this organization's."""
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        target = (await self._store.webhook_states([webhook_id])).get(webhook_id)
        if target is None:
            raise NotFound(f"no webhook {webhook_id!r}")
        return await self._ask(msgspec.structs.replace(target, webhook=webhook), by)

    async def answered_well(self, webhook: Webhook, by: Actor) -> None:
        """Its endpoint answered a test event with 2xx: a proof, where one is required and there is none yet."""
        if self.is_required and (webhook.verification_pending or webhook.verified_at is None):
            try:
                await self._prove(webhook, "a test event", by)
            except Conflict as error:  # the exchange is what was asked for; the next one proves it too
                _log.warning("webhook_not_verified", webhook_id=webhook.id, detail=error.detail)

    def ask_soon(self, webhook: Webhook) -> None:
        """Ask its endpoint in the background, a few times, if it is held."""
        if not self.is_held(webhook):
            return
        if len(self._asking) >= MOST_AT_ONCE:
            _log.warning("webhook_not_verified", webhook_id=webhook.id, detail="too many are being asked: ask it again")
            return
        task = asyncio.get_running_loop().create_task(self._keep_asking(webhook), name=f"packhook-ask-{webhook.id}")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        for task in list(self._asking):
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _keep_asking(self, webhook: Webhook) -> None:
        try:
            await self._ask_a_few_times(webhook)
        except Exception:  # noqa: BLE001 nobody waits for this: its fault is told here
            _log.exception("webhook_not_verified", webhook_id=webhook.id)

    async def _ask_a_few_times(self, webhook: Webhook) -> None:
        """Until it consents, or is another's or nobody's to ask, or has been asked often enough."""
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
                _, consent = await self._ask(target, NODE)
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

    async def _ask(self, target: WebhookState, by: Actor) -> tuple[Attempt, Consent]:
        attempt, consent = await self._engine.ask_consent(target)
        if consent.given:
            await self._prove(target.webhook, "the handshake", by, allowed_rate=consent.allowed_rate)
        return attempt, consent

    async def _prove(self, asked: Webhook, how: str, by: Actor, **changes: Any) -> None:  # noqa: ANN401 a field has its own type
        """Write it down, unless the endpoint is another by now: then it is not the one that was asked."""
        for last in (*[False] * (TRIES - 1), True):
            before = await self._store.get_webhook(asked.organization_id, asked.id)
            if before.endpoint != asked.endpoint:
                return
            now = self._clock.now()
            proven = {"verification_pending": False, "verified_at": now, "version": before.version + 1, **changes}
            told = entry(
                Action.WEBHOOK_VERIFIED,
                by,
                now,
                organization_id=asked.organization_id,
                object_id=asked.id,
                reason=how,
            )
            try:
                await self._store.replace_webhook(msgspec.structs.replace(before, **proven), told)
            except Conflict:
                if last:
                    raise
            else:
                _log.info("webhook_verified", webhook_id=asked.id, by=how)
                return
