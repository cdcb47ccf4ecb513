"""Encrypt secrets on their way into a store: webhook secrets, previous ones too, header values and client keys.

::

    create, replace ─ encrypt ─▶ the inner store ─ decrypt ─▶ get, list, webhook_states
    publish, claim, record, release, … ─────▶ the methods of the inner store

A secret that is not encrypted is read as it is, and encrypted when it is next written or re-encrypted.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from packhook.core.audit import Action, Actor, AuditEntry, entry
from packhook.core.errors import Conflict, NotFound, StartError, Unavailable
from packhook.core.model import Webhook, WebhookState
from packhook.core.overview import DatabaseState
from packhook.store.base import Page, PageRequest, Store, WebhookFilter
from packhook.store.encryption.cipher import Cipher, encrypted_under
from packhook.store.encryption.keyring import Keyring, new_key
from packhook.store.overview import ANY_WEBHOOK, InstanceWebhookFilter, OverviewStore

BATCH_SIZE: Final = 500
_CHECK: Final = "packhook"
_CHECK_FIELD: Final = ("instance", "key_check")


class EncryptedStore:
    """See :class:`packhook.store.base.Store` for every promise. Any method that is not here is the inner store's."""

    def __init__(self, inner: Store, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring
        self._cipher: Cipher | None = None
        self.created_key_file = False

        # What has no secret is the inner store's. A name for each, so that the type checker knows them all.
        self.close = inner.close
        self.ping = inner.ping
        self.attach = inner.attach
        self.create_organization = inner.create_organization
        self.get_organization = inner.get_organization
        self.list_organizations = inner.list_organizations
        self.update_organization = inner.update_organization
        self.delete_organization = inner.delete_organization
        self.create_api_key = inner.create_api_key
        self.list_api_keys = inner.list_api_keys
        self.revoke_api_key = inner.revoke_api_key
        self.find_api_key = inner.find_api_key
        self.record_key_usage = inner.record_key_usage
        self.claim_operator_key = inner.claim_operator_key
        self.claim_key_check = inner.claim_key_check
        self.replace_key_check = inner.replace_key_check
        self.delete_webhook = inner.delete_webhook
        self.iter_webhooks = inner.iter_webhooks
        self.failing_since = inner.failing_since
        self.publish = inner.publish
        self.claim = inner.claim
        self.record = inner.record
        self.release = inner.release
        self.replan = inner.replan
        self.retry_delivery = inner.retry_delivery
        self.replays = inner.replays
        self.erasure = inner.erasure
        self.portal = inner.portal
        self.dashboard = inner.dashboard
        self.event_types = inner.event_types
        self._pass_reads_through(inner)
        self.write_audit = inner.write_audit
        self.list_audit = inner.list_audit
        self.apply_retention = inner.apply_retention
        self.warn_failing = inner.warn_failing
        self.disable_failing = inner.disable_failing
        self.claim_rotations = inner.claim_rotations
        self.postpone_rotations = inner.postpone_rotations

    def _pass_reads_through(self, inner: Store) -> None:
        """Give a name to each read of what happened."""
        self.get_event = inner.get_event
        self.list_events = inner.list_events
        self.subjects_of = inner.subjects_of
        self.summarize_attempts = inner.summarize_attempts
        self.feed = inner.feed
        self.refused_events = inner.refused_events
        self.responses = inner.responses
        self.overview = _DecryptedOverview(inner.overview, self._decrypted)
        self.counts = inner.counts
        self.filter_errors = inner.filter_errors
        self.get_delivery = inner.get_delivery
        self.interruptions = inner.interruptions
        self.list_deliveries = inner.list_deliveries
        self.webhook_health = inner.webhook_health
        self.list_webhook_health = inner.list_webhook_health
        self.backlog = inner.backlog
        self.attempt_counts = inner.attempt_counts

    # --- life cycle

    async def open(self) -> None:
        """Open the inner store, and check that all keys it needs are here; at first start, create the key file.

        Raises StartError where a key is missing: no delivery could be signed, and new secrets would get another key. Of
        nodes that start at the same time, each with a key of its own, the first one wins; the others are refused.
        """
        await self._inner.open()
        try:
            in_use = await self._key_ids_in_use()
            await self._ensure_keys(in_use)
            await self._verify_key_check(is_new=not in_use)
        except BaseException:
            await self._inner.close()
            raise

    async def _ensure_keys(self, in_use: frozenset[str]) -> None:
        if not in_use and not self._keyring.exists():
            self.created_key_file = await asyncio.to_thread(self._keyring.create_file)
        missing = self._newest_cipher().missing(in_use) if self._keyring.exists() else sorted(in_use)
        if missing:
            raise StartError(
                f"the database has webhook secrets that are encrypted under the master key {', '.join(missing)}, and "
                f"{self._keyring.location} does not have it: restore the key, or its copy; without it no delivery can "
                "be signed"
            )

    async def _verify_key_check(self, *, is_new: bool) -> None:
        """Check that this node has the key that the database was first opened with: only that decrypts its key check.

        Where nothing is encrypted yet, and no other process can have the key, a lost key is replaced.
        """
        cipher = self._newest_cipher()
        check = cipher.encrypt(_CHECK, *_CHECK_FIELD)
        stored = (await self._inner.claim_key_check(check.encode())).decode()
        if _decrypts(cipher, stored):
            return
        if is_new and self._keyring.is_single_process:
            await self._inner.replace_key_check(check.encode(), stored.encode())
            return
        if self.created_key_file:
            await asyncio.to_thread(self._keyring.delete_new_file)
        raise StartError(_of_another_key(stored, self._keyring))

    async def _key_ids_in_use(self) -> frozenset[str]:
        found: set[str] = set()
        anchor = ""
        while batch := await self._inner.iter_webhooks(anchor, BATCH_SIZE):
            found.update(*map(_key_ids, batch))
            anchor = batch[-1].id
        return frozenset(found)

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
        """Encrypt, then as the inner store."""
        await self._inner.create_webhook(self._encrypted(webhook), entry, limit)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """Encrypt, then as the inner store."""
        await self._inner.replace_webhook(self._encrypted(webhook), entry)

    async def reencrypt_webhook(self, webhook: Webhook) -> None:
        """Encrypt, then as the inner store."""
        await self._inner.reencrypt_webhook(self._encrypted(webhook))

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        """Decrypt what the inner store returns."""
        return self._decrypted(await self._inner.get_webhook(organization_id, webhook_id))

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        """Decrypt what the inner store returns."""
        found = await self._inner.list_webhooks(organization_id, page, where)
        return msgspec.structs.replace(found, items=tuple(map(self._decrypted, found.items)))

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """Decrypt what the inner store returns."""
        found = await self._inner.webhook_states(webhook_ids)
        return {
            webhook_id: msgspec.structs.replace(state, webhook=self._decrypted(state.webhook))
            for webhook_id, state in found.items()
        }

    # --- master keys

    async def rotate(self, by: Actor, now: int) -> str:
        """Add a new newest key to the key file, unless the keys are from the setting; return the newest key's id.

        A file is in no transaction: the audit entry is written first, so that no new key is without one.
        """
        newest, key = self.current_cipher().newest, new_key()
        key_id = newest if self._keyring.file is None else key[0]
        await self._inner.write_audit(entry(Action.MASTER_KEY_ROTATED, by, now, object_id=key_id))
        with _as_unavailable():
            await asyncio.to_thread(self._keyring.add, key)
            return self._newest_cipher().newest

    async def update_key_check(self) -> None:
        """Bind the database to the newest key, once everything is encrypted under it."""
        cipher = self.current_cipher()
        check = cipher.encrypt(_CHECK, *_CHECK_FIELD)
        stored = await self._inner.claim_key_check(check.encode())
        if encrypted_under(stored.decode()) != cipher.newest:
            await self._inner.replace_key_check(check.encode(), stored)

    async def reencrypt(self, stored: Webhook) -> bool:
        """Encrypt a webhook, as :meth:`iter_webhooks` has it, under the newest key; False where nothing is to be done.

        It becomes its next version with nothing else changed, not even ``updated_at``; a change at the same time is not
        lost. Raises Unavailable where it does not decrypt.
        """
        with suppress(NotFound):  # deleted meanwhile
            while not self._is_current(stored):
                after = msgspec.structs.replace(self._decrypted(stored), version=stored.version + 1)
                try:
                    await self.reencrypt_webhook(after)
                except Conflict:
                    stored = await self._inner.get_webhook(stored.organization_id, stored.id)
                else:
                    return True
        return False

    def _is_current(self, stored: Webhook) -> bool:
        newest = self.current_cipher().newest
        return all(encrypted_under(text) == newest for text in _secrets(stored))

    def current_cipher(self) -> Cipher:
        """Return the cipher of the keys as they are now. Raises Unavailable where they cannot be read."""
        with _as_unavailable():
            return self._newest_cipher()

    def _newest_cipher(self) -> Cipher:
        """Return the cipher of the key file as it is now: another process on this machine may have added a key."""
        self._cipher = self._keyring.cipher()
        return self._cipher

    def _encrypted(self, webhook: Webhook) -> Webhook:
        return _map_secrets(webhook, self.current_cipher().encrypt)

    def _decrypted(self, webhook: Webhook) -> Webhook:
        cipher = self._cipher
        if cipher is None or cipher.missing(_key_ids(webhook)):
            cipher = self.current_cipher()
        return _map_secrets(webhook, cipher.decrypt)


class _DecryptedOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, inner: OverviewStore, decrypted: Callable[[Webhook], Webhook]) -> None:
        self._decrypted = decrypted
        self._inner = inner
        self.figures = inner.figures
        self.report_node = inner.report_node
        self.list_nodes = inner.list_nodes
        self.list_deliveries = inner.list_deliveries

    async def list_webhooks(self, page: PageRequest, where: InstanceWebhookFilter = ANY_WEBHOOK) -> Page[Webhook]:
        """Decrypt what the inner store returns."""
        found = await self._inner.list_webhooks(page, where)
        return msgspec.structs.replace(found, items=tuple(map(self._decrypted, found.items)))


def key_problem(keyring: Keyring, state: DatabaseState) -> str:
    """Return why this node's master keys do not fit a database; "" if they do, or nothing is encrypted that counts."""
    fits = not state.key_check or (keyring.exists() and _decrypts(keyring.cipher(), state.key_check))
    is_replaceable = keyring.is_single_process and not state.has_webhooks
    return "" if fits or is_replaceable else _of_another_key(state.key_check, keyring)


def _of_another_key(stored: str, keyring: Keyring) -> str:
    return (
        f"this database belongs to the master key {encrypted_under(stored)}, and {keyring.location} does not "
        "have it: every node needs the same. Set the same master_keys on all of them, or copy the key file of the "
        "node that started first"
    )


def _decrypts(cipher: Cipher, stored: str) -> bool:
    try:
        return cipher.decrypt(stored, *_CHECK_FIELD) == _CHECK
    except Unavailable:
        return False


def _map_secrets(webhook: Webhook, convert: Callable[[str, str, str], str]) -> Webhook:
    """Return the webhook with each secret converted, given its record and field: no two secrets have the same."""
    record = f"webhook {webhook.organization_id}/{webhook.id}"
    return msgspec.structs.replace(
        webhook,
        secret=convert(webhook.secret, record, "secret"),
        headers={name: convert(value, record, f"header {name}") for name, value in webhook.headers.items()},
        client_key=webhook.client_key and convert(webhook.client_key, record, "client key"),
        previous_secrets=tuple(
            msgspec.structs.replace(previous, secret=convert(previous.secret, record, f"previous secret {number}"))
            for number, previous in enumerate(webhook.previous_secrets, 1)
        ),
    )


def _secrets(webhook: Webhook) -> tuple[str, ...]:
    """Return all texts that are encrypted; a webhook without a client certificate has no client key."""
    previous = (previous.secret for previous in webhook.previous_secrets)
    return webhook.secret, *webhook.headers.values(), *filter(None, (webhook.client_key,)), *previous


def _key_ids(webhook: Webhook) -> set[str]:
    return {key_id for text in _secrets(webhook) if (key_id := encrypted_under(text)) is not None}


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Raise Unavailable for a StartError: what would stop a start only fails a request once the node runs."""
    try:
        yield
    except StartError as error:
        raise Unavailable(error.detail) from error
