"""Rotation of the master key while the node serves: a new key, and every webhook's secrets encrypted again under it."""

import asyncio
from typing import Final

import structlog
from msgspec import Struct

from packhook.core.audit import Actor
from packhook.core.clock import Clock
from packhook.core.errors import Conflict, Unavailable
from packhook.core.model import Webhook
from packhook.store.encryption.store import EncryptedStore
from packhook.telemetry.request_ids import of_request

_log: Final = structlog.get_logger("packhook.masterkeys")

BATCH: Final = 100
MAX_NAMED: Final = 10


class Rotation(Struct, frozen=True, kw_only=True):
    """Hold the result of a rotation: the id of the newest key, and how many webhooks were encrypted again."""

    key_id: str
    reencrypted: int


class MasterKeys:
    """Rotate the master key."""

    def __init__(self, store: EncryptedStore | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()

    async def rotate(self, by: Actor) -> Rotation:
        """Make a new key (with the setting: use its newest), and encrypt all webhooks under it, batch by batch.

        Raises Conflict with the ids of webhooks that could not be decrypted; all others are done nevertheless.
        """
        if self._store is None:
            raise Unavailable("this node encrypts nothing")
        async with self._lock:
            key_id = await self._store.rotate(by, self._clock.now())
            reencrypted, failed = await self._reencrypt_all(self._store)
            if not failed:
                await self._store.update_key_check()
        _log.info("master_key_rotated", key_id=key_id, reencrypted=reencrypted, left=len(failed))
        if failed:
            named = ", ".join(failed[:MAX_NAMED]) + (", …" if len(failed) > MAX_NAMED else "")
            raise Conflict(
                f"webhooks encrypted again under {key_id}: {reencrypted}; not changed: {len(failed)} ({named}). "
                "The log has the reason for each; fix it and rotate again"
            )
        return Rotation(key_id=key_id, reencrypted=reencrypted)

    async def _reencrypt_all(self, store: EncryptedStore) -> tuple[int, list[str]]:
        """Return how many webhooks were encrypted again, and the ids of those that could not be."""
        reencrypted, failed, anchor = 0, list[str](), ""
        while batch := await store.iter_webhooks(anchor, BATCH):
            results = await asyncio.gather(*(of_request(_reencrypt(store, webhook)) for webhook in batch))
            reencrypted += results.count(True)
            failed += [webhook.id for webhook, result in zip(batch, results, strict=True) if result is None]
            anchor = batch[-1].id
        return reencrypted, failed


async def _reencrypt(store: EncryptedStore, webhook: Webhook) -> bool | None:
    """Return True if it was encrypted again, False if it needed nothing, None if it could not be decrypted."""
    try:
        return await store.reencrypt(webhook)
    except Unavailable as error:
        _log.error("webhook_not_reencrypted", webhook_id=webhook.id, detail=error.detail)
        return None
