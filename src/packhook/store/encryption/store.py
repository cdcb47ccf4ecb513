"""A store whose secrets are sealed: webhook secrets, header values and client keys are texts for the vault inside.

::

    create, replace ─ seal ─▶ the store inside ─ open ─▶ get, list, targets
    publish, claim, record, release, … ─────▶ the very methods of the store inside

What an older packhook wrote is not sealed: it is read as it is, and sealed when it is next written or re-sealed.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from packhook.core.audit import Action, Actor, AuditEntry, entry
from packhook.core.errors import Conflict, NotFound, StartError, Unavailable
from packhook.core.model import Webhook, WebhookState
from packhook.store.base import Page, PageRequest, Store, WebhookFilter
from packhook.store.encryption.cipher import Vault, sealed_under
from packhook.store.encryption.keyring import Keyring, new_key

BATCH: Final = 500
_CHECKED: Final = "packhook"
_CHECK_PLACE: Final = ("instance", "key_check")


class SealedStore:
    """See :class:`packhook.store.base.Store` for every promise; whatever is not written out here is the other's own."""

    def __init__(self, inner: Store, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring
        self._vault: Vault | None = None
        self.made_key_file = False
        self.close = inner.close
        self.ping = inner.ping
        self.attach = inner.attach
        self.create_organization = inner.create_organization
        self.get_organization = inner.get_organization
        self.list_organizations = inner.list_organizations
        self.delete_organization = inner.delete_organization
        self.create_api_key = inner.create_api_key
        self.list_api_keys = inner.list_api_keys
        self.revoke_api_key = inner.revoke_api_key
        self.find_api_key = inner.find_api_key
        self.note_usage = inner.note_usage
        self.claim_operator_key = inner.claim_operator_key
        self.claim_key_check = inner.claim_key_check
        self.replace_key_check = inner.replace_key_check
        self.delete_webhook = inner.delete_webhook
        self.iter_webhooks = inner.iter_webhooks
        self.failing_since = inner.failing_since
        self.publish = inner.publish
        self.publish_nowait = inner.publish_nowait
        self.claim = inner.claim
        self.record = inner.record
        self.release = inner.release
        self.replay_delivery = inner.replay_delivery
        self.get_event = inner.get_event
        self.list_events = inner.list_events
        self.get_delivery = inner.get_delivery
        self.interruptions = inner.interruptions
        self.list_deliveries = inner.list_deliveries
        self.write_audit = inner.write_audit
        self.list_audit = inner.list_audit
        self.sweep = inner.sweep
        self.warn_failing = inner.warn_failing
        self.disable_failing = inner.disable_failing

    # --- its life

    async def open(self) -> None:
        """Open the store inside, and have the keys for all that is sealed in it; at first start, make the key file.

        StartError where a key is missing: going on would put off every delivery and seal under a key of its own.
        Of nodes that start at once, each with a key of its own, one is the first; the others are refused.
        """
        await self._inner.open()
        try:
            in_use = await self._key_ids_in_use()
            await self._have_keys(in_use)
            await self._agree(is_new=not in_use)
        except BaseException:
            await self._inner.close()
            raise

    async def _have_keys(self, in_use: frozenset[str]) -> None:
        if not in_use and not self._keyring.exists():
            self.made_key_file = await asyncio.to_thread(self._keyring.make)
        lost = self._newest().missing(in_use) if self._keyring.exists() else sorted(in_use)
        if lost:
            raise StartError(
                f"the database holds webhook secrets that are sealed under the master key {', '.join(lost)}, and "
                f"{self._keyring.place} does not have it: put the key, or its copy, back; without it no delivery can "
                "be signed"
            )

    async def _agree(self, *, is_new: bool) -> None:
        """Have the key that the database was first opened with: its check is stored once, and opens under no other.

        Where nothing is sealed yet, and nobody else can have the key, a lost key is replaced.
        """
        vault = self._newest()
        check = vault.seal(_CHECKED, *_CHECK_PLACE)
        stored = (await self._inner.claim_key_check(check.encode())).decode()
        if _opens(vault, stored):
            return
        if is_new and self._keyring.is_alone:
            await self._inner.replace_key_check(check.encode(), stored.encode())
            return
        if self.made_key_file:
            await asyncio.to_thread(self._keyring.unmake)
        raise StartError(
            f"this database belongs to the master key {sealed_under(stored)}, and {self._keyring.place} does not have "
            "it: every node needs the same. Set master_keys alike on all of them, or copy the key file of the node "
            "that was here first"
        )

    async def _key_ids_in_use(self) -> frozenset[str]:
        found: set[str] = set()
        anchor = ""
        while batch := await self._inner.iter_webhooks(anchor, BATCH):
            for webhook in batch:
                found |= _key_ids(webhook)
            anchor = batch[-1].id
        return frozenset(found)

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """Seal it, then as the store inside."""
        await self._inner.create_webhook(_seal(webhook, self._to_seal()), entry)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """Seal it, then as the store inside."""
        await self._inner.replace_webhook(_seal(webhook, self._to_seal()), entry)

    async def reseal_webhook(self, webhook: Webhook) -> None:
        """Seal it, then as the store inside."""
        await self._inner.reseal_webhook(_seal(webhook, self._to_seal()))

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        """As the store inside, opened."""
        return self._opened(await self._inner.get_webhook(organization_id, webhook_id))

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        """As the store inside, opened."""
        found = await self._inner.list_webhooks(organization_id, page, where)
        items = tuple(self._opened(webhook) for webhook in found.items)
        return Page(items=items, has_prev=found.has_prev, has_next=found.has_next)

    async def targets(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """As the store inside, opened."""
        found = await self._inner.targets(webhook_ids)
        return {
            webhook_id: msgspec.structs.replace(target, webhook=self._opened(target.webhook))
            for webhook_id, target in found.items()
        }

    # --- master keys

    async def renew(self, by: Actor, now: int) -> str:
        """Take a new newest key into the key file; with keys from the setting nothing is new. The newest key's id.

        A file has no part in a transaction: the audit entry is written before, so that no new key is without one.
        """
        newest, key = self._to_seal().newest, new_key()
        key_id = newest if self._keyring.file is None else key[0]
        await self._inner.write_audit(entry(Action.MASTER_KEY_ROTATED, by, now, object_id=key_id))
        with _unavailable():
            await asyncio.to_thread(self._keyring.add, key)
            return self._newest().newest

    async def move_check(self) -> None:
        """The database belongs to the newest key from now on: for when everything is sealed under it."""
        vault = self._to_seal()
        check = vault.seal(_CHECKED, *_CHECK_PLACE)
        stored = await self._inner.claim_key_check(check.encode())
        if sealed_under(stored.decode()) != vault.newest:
            await self._inner.replace_key_check(check.encode(), stored)

    async def reseal(self, stored: Webhook) -> bool:
        """Seal a webhook, as :meth:`iter_webhooks` has it, under the newest key; False where there is nothing to do.

        It becomes its next version with nothing else changed, ``updated_at`` neither; whoever changes it at the same
        time is not undone. Unavailable where it does not open.
        """
        with suppress(NotFound):  # deleted meanwhile
            while not self._is_current(stored):
                after = msgspec.structs.replace(self._opened(stored), version=stored.version + 1)
                try:
                    await self.reseal_webhook(after)
                except Conflict:
                    stored = await self._inner.get_webhook(stored.organization_id, stored.id)
                else:
                    return True
        return False

    def _is_current(self, stored: Webhook) -> bool:
        newest = self._to_seal().newest
        return all(sealed_under(text) == newest for text in _texts(stored))

    def _to_seal(self) -> Vault:
        with _unavailable():
            return self._newest()

    def _newest(self) -> Vault:
        """The vault as the key file has it now: another process on this machine may have taken a new key."""
        self._vault = self._keyring.vault()
        return self._vault

    def _opened(self, webhook: Webhook) -> Webhook:
        vault = self._vault
        if vault is None or vault.missing(_key_ids(webhook)):
            vault = self._to_seal()
        return _changed(webhook, vault.open)


def _opens(vault: Vault, stored: str) -> bool:
    try:
        return vault.open(stored, *_CHECK_PLACE) == _CHECKED
    except Unavailable:
        return False


def _seal(webhook: Webhook, vault: Vault) -> Webhook:
    return _changed(webhook, vault.seal)


def _changed(webhook: Webhook, change: Callable[[str, str, str], str]) -> Webhook:
    """The webhook with each of its secrets changed, each told where it belongs: no two have the same place."""
    record = f"webhook {webhook.organization_id}/{webhook.id}"
    return msgspec.structs.replace(
        webhook,
        secret=change(webhook.secret, record, "secret"),
        headers={name: change(value, record, f"header {name}") for name, value in webhook.headers.items()},
        client_key=webhook.client_key and change(webhook.client_key, record, "client key"),
    )


def _texts(webhook: Webhook) -> tuple[str, ...]:
    """All that is sealed; a webhook without a client certificate has no client key."""
    return webhook.secret, *webhook.headers.values(), *filter(None, (webhook.client_key,))


def _key_ids(webhook: Webhook) -> set[str]:
    return {key_id for text in _texts(webhook) if (key_id := sealed_under(text)) is not None}


@contextmanager
def _unavailable() -> Iterator[None]:
    """What would stop a start only stops a request once the node runs."""
    try:
        yield
    except StartError as error:
        raise Unavailable(error.detail) from error
