"""Master keys: a new one, and every webhook's secrets sealed under it, while everything goes on."""

import asyncio
from typing import Final

import structlog
from msgspec import Struct

from packhook.core.audit import Actor
from packhook.core.clock import Clock
from packhook.core.errors import Conflict, Unavailable
from packhook.core.model import Webhook
from packhook.store.encryption.store import EncryptedStore

_log: Final = structlog.get_logger("packhook.masterkeys")

BATCH: Final = 100
SHOWN: Final = 10


class Rotation(Struct, frozen=True, kw_only=True):
    """What a rotation came to: the key that is the newest now, and how many webhooks were sealed anew."""

    key_id: str
    resealed: int


class MasterKeys:
    """The operator's hand on what the secrets are sealed under."""

    def __init__(self, store: EncryptedStore | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._alone = asyncio.Lock()

    async def rotate(self, by: Actor) -> Rotation:
        """Take a new key (of the setting: its newest), and seal all webhooks under it, batch by batch.

        Conflict where some could not be, with their ids; all the others are sealed anew all the same.
        """
        if self._store is None:
            raise Unavailable("this node seals nothing")
        async with self._alone:
            key_id = await self._store.rotate(by, self._clock.now())
            resealed, left = await self._reseal_all(self._store)
            if not left:
                await self._store.update_key_check()
        _log.info("master_key_rotated", key_id=key_id, resealed=resealed, left=len(left))
        if left:
            shown = ", ".join(left[:SHOWN]) + (", …" if len(left) > SHOWN else "")
            raise Conflict(
                f"webhooks sealed anew under {key_id}: {resealed}; left as they were: {len(left)} ({shown}). "
                "The log says why of each; mend that and rotate again"
            )
        return Rotation(key_id=key_id, resealed=resealed)

    async def _reseal_all(self, store: EncryptedStore) -> tuple[int, list[str]]:
        """How many were sealed anew, and which could not be."""
        resealed, left, anchor = 0, list[str](), ""
        while batch := await store.iter_webhooks(anchor, BATCH):
            done = await asyncio.gather(*(_reseal(store, webhook) for webhook in batch))
            resealed += done.count(True)
            left += [webhook.id for webhook, did in zip(batch, done, strict=True) if did is None]
            anchor = batch[-1].id
        return resealed, left


async def _reseal(store: EncryptedStore, webhook: Webhook) -> bool | None:
    """Whether there was anything to do; None where it could not be done."""
    try:
        return await store.reencrypt(webhook)
    except Unavailable as error:
        _log.error("webhook_not_resealed", webhook_id=webhook.id, detail=error.detail)
        return None
