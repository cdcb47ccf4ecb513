"""Rotation of a webhook's secret: an overlap in which both secrets sign, and its end.

::

    rotate ─▶ both sign ─┬─ previous secrets expired ─────────────────────────┬─▶ erased, with an audit entry
                         └─ ``when_proven``: a test event signed with the new ┘
                            secret alone, every ``secret_proof_interval``, is answered 2xx

Any node does the second half: it takes what is due for a while, so one node at a time proves.
"""

import asyncio
from typing import Final

import structlog
from msgspec import structs

from packhook.core.audit import NODE, Action, Actor, Change, entry, remembered
from packhook.core.clock import MINUTE, SECOND, Clock, to_rfc3339
from packhook.core.errors import Conflict, NotFound, Overloaded, Unavailable
from packhook.core.fairness import FairShare
from packhook.core.idempotency import Remember
from packhook.core.model import Webhook
from packhook.core.secret_rotation import Finish, live_previous, overlap_ends_at, rotate, without_previous
from packhook.core.signatures.standard import new_secret
from packhook.delivery.probe import EndpointProbe
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.preconditions import Versions, require_version
from packhook.service.test_events import example_event
from packhook.settings import Settings
from packhook.store.base import Store

_log: Final = structlog.get_logger("packhook.rotation")

MAX_PROOFS: Final = 64
BATCH: Final = 500
TAKEN_FOR: Final = MINUTE  # longer than an attempt may take
POLL_SECONDS: Final = 60.0
MAX_TRIES: Final = 5


class SecretRotation:
    """Rotate secrets, and end their overlaps. ``run`` looks for overlaps to end until ``stop``."""

    def __init__(
        self,
        store: Store,
        probe: EndpointProbe,
        verification: EndpointVerification,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._probe = probe
        self._verification = verification
        self._interval = settings.secret_proof_interval
        self._clock = clock
        self._proofs = FairShare(MAX_PROOFS, "too many new secrets are being proven")
        self._wake = asyncio.Event()
        self._is_stopping = False

    async def rotate(
        self,
        organization_id: str,
        webhook_id: str,
        secret: str,
        overlap: int,
        finish: Finish,
        by: Actor,
        versions: Versions = None,
        *,
        remember: Remember[Webhook] | None = None,
    ) -> Webhook:
        """Make ``secret`` (empty: a new one) the newest; the one before also signs for ``overlap`` milliseconds.

        To rotate to the secret that is the newest already changes nothing. Raises NotFound, Conflict if too many
        secrets are live, and PreconditionFailed where the stored version is none of ``versions``.
        """
        secret = secret or new_secret()
        for is_last in (*[False] * (MAX_TRIES - 1), True):
            before = await self._store.get_webhook(organization_id, webhook_id)
            require_version(before.version, versions)
            if before.secret == secret:
                return before
            now = max(self._clock.now(), before.updated_at)
            after = _next_version(rotate(before, secret, overlap, finish, now), updated_at=now)
            ends_at = overlap_ends_at(after, now)
            changes = (
                Change("secret"),
                Change("previous_secret_expires_at", None, None if ends_at is None else to_rfc3339(ends_at)),
                Change("finish", None, finish.value),
            )
            audit = entry(
                Action.WEBHOOK_SECRET_ROTATED, by, now, organization_id=organization_id, object_id=webhook_id,
                changes=changes,
            )  # fmt: skip
            try:
                await self._store.replace_webhook(after, remembered(audit, remember, after))
            except Conflict:
                if is_last:
                    raise
            else:
                self._wake.set()
                return after
        raise AssertionError("the last try returns or raises")

    # --- the end of an overlap

    def stop(self) -> None:
        """Let ``run`` return after what it has taken."""
        self._is_stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Prove and erase what is due, until ``stop``."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                while await self.run_once() and not self._is_stopping:
                    continue
            except Unavailable as error:
                _log.warning("rotation_not_finished", detail=error.detail)
            except Exception:  # noqa: BLE001 the next round may succeed
                _log.exception("rotation_not_finished", detail="tried again")
            if not self._is_stopping:
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(min(POLL_SECONDS, self._interval / SECOND)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def run_once(self) -> bool:
        """Do what is due now, as much of each organization as its share allows; return whether some is left."""
        now = self._clock.now()
        taken = await self._store.claim_rotations(now, now + TAKEN_FOR, BATCH)
        results = await asyncio.gather(*(self._finish(*rotation) for rotation in taken), return_exceptions=True)
        left = [webhook_id for (_, webhook_id), result in zip(taken, results, strict=True) if _is_refused(result)]
        done = [webhook_id for (_, webhook_id) in taken if webhook_id not in left]
        now = self._clock.now()
        if done:
            await self._store.postpone_rotations(done, now + self._interval)
        if left:
            await self._store.postpone_rotations(left, now)
        return bool(left) or len(taken) == BATCH

    async def _finish(self, organization_id: str, webhook_id: str) -> None:
        """Remove what has expired; prove the new secret where that is to end the overlap. Raises Overloaded."""
        try:
            webhook = await self._store.get_webhook(organization_id, webhook_id)
            if live_previous(webhook, self._clock.now()) != webhook.previous_secrets:
                await self._erase(webhook, "the overlap ended", keeps_live=True)
            elif webhook.rotation_finish == Finish.WHEN_PROVEN and self._may_be_sent_to(webhook):
                with self._proofs.reserve(organization_id) as reservation:
                    reservation.grow(1)
                    if await self._is_proven(webhook):
                        await self._erase(webhook, "the endpoint accepted the new secret", keeps_live=False)
        except Overloaded:
            raise
        except (NotFound, Conflict):
            return  # deleted, or changed at the same time: the next round sees it as it is
        except Exception as error:  # noqa: BLE001 a fault with one webhook must not stop the others
            _log.warning("secret_not_proven", webhook_id=webhook_id, detail=str(error))

    def _may_be_sent_to(self, webhook: Webhook) -> bool:
        return webhook.enabled and not self._verification.is_pending(webhook)

    async def _is_proven(self, webhook: Webhook) -> bool:
        """Send a test event that is signed with the new secret alone; return whether it was answered 2xx."""
        state = (await self._store.webhook_states([webhook.id])).get(webhook.id)
        if state is None or state.webhook.secret != webhook.secret:
            return False
        alone = structs.replace(state, webhook=without_previous(state.webhook))
        event = example_event(webhook, self._store.event_types.catalogue, self._clock.now())
        _, verdict = await self._probe.send_test(alone, event)
        return not verdict.error_code

    async def _erase(self, webhook: Webhook, reason: str, *, keeps_live: bool) -> None:
        """Remove previous secrets. Raises Conflict if the webhook was changed meanwhile."""
        now = max(self._clock.now(), webhook.updated_at)
        keep = live_previous(webhook, now) if keeps_live else ()
        after = _next_version(without_previous(webhook, keep), updated_at=now)
        audit = entry(
            Action.WEBHOOK_SECRETS_RETIRED, NODE, now, organization_id=webhook.organization_id, object_id=webhook.id,
            reason=reason,
        )  # fmt: skip
        await self._store.replace_webhook(after, audit)
        _log.info("previous_secrets_retired", webhook_id=webhook.id, reason=reason)


def _next_version(webhook: Webhook, updated_at: int) -> Webhook:
    return structs.replace(webhook, updated_at=updated_at, version=webhook.version + 1)


def _is_refused(result: BaseException | None) -> bool:
    return isinstance(result, Overloaded)
