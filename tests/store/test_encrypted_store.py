"""Test the encrypting store: the database holds no plaintext secret, and callers see no difference."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from packhook.core.audit import CLI
from packhook.core.errors import DatabaseInUse, StartError, Unavailable
from packhook.core.model import PreviousSecret, Webhook, WebhookState
from packhook.settings import Settings, parse_master_keys
from packhook.store.base import Store, WebhookFilter
from packhook.store.encryption.cipher import PREFIX, encrypted_under
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock
from store.values import ACME, ALL, OTHER, add_webhook, new_entry, next_version, organization, webhook

SECRETS: Final = (
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "Bearer the-token-of-a-header",
    "another-value",
    "the key of a client certificate",
    "the-secret-before-this-one",
    "the-secret-before-that",
)
FULL: Final[dict[str, Any]] = {
    "secret": SECRETS[0],
    "headers": {"authorization": SECRETS[1], "x-empty": "", "x-a": SECRETS[2]},
    "description": "kept as it is",
    "client_certificate": "shown to every receiver",
    "client_key": SECRETS[3],
    "previous_secrets": tuple(PreviousSecret(secret=secret, expires_at=START + 1) for secret in SECRETS[4:]),
    "rotation_finish": "at_end",
}
HOT: Final = ("publish", "claim", "record", "release", "attach")
OWN: Final = {
    "open",
    "create_webhook",
    "replace_webhook",
    "reencrypt_webhook",
    "get_webhook",
    "list_webhooks",
    "webhook_states",
}


class EncryptedDatabase:
    """Hold one database and its key file, to be opened and closed as often as a test needs."""

    def __init__(self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        self.settings = Settings(database=url)
        self.inner: Store
        self.store: EncryptedStore
        self.new()

    def new(self, **changes: Any) -> EncryptedStore:  # noqa: ANN401 a field has its own type
        """Return a store on this database, not yet open."""
        settings = self.settings.model_copy(update=changes)
        self.inner = open_store(settings, ManualClock())
        self.store = EncryptedStore(self.inner, Keyring(settings))
        return self.store

    @property
    def key_file(self) -> Path:
        """Return the path of the key file."""
        file = Keyring(self.settings).file
        assert file is not None
        return file

    async def reopen(self, **changes: Any) -> EncryptedStore:  # noqa: ANN401 as above
        """Close the store and open a new one."""
        await self.store.close()
        await self.new(**changes).open()
        return self.store

    async def stored(self, to: Webhook) -> Webhook:
        """Return a webhook as the database holds it, encrypted."""
        return await self.inner.get_webhook(to.organization_id, to.id)


@pytest.fixture
async def encrypted(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EncryptedDatabase]:
    """Yield a database with two organizations, and its encrypting store, open."""
    made = EncryptedDatabase(database, tmp_path, monkeypatch)
    await made.store.open()
    await made.store.create_organization(organization(ACME), new_entry())
    await made.store.create_organization(organization(OTHER), new_entry())
    yield made
    await made.store.close()


def texts(of: Webhook) -> list[str]:
    """Return the values that have to be encrypted."""
    previous = [item.secret for item in of.previous_secrets]
    return [of.secret, *of.headers.values(), *filter(None, [of.client_key]), *previous]


def under(of: Webhook) -> set[str | None]:
    """Return the ids of the keys that a stored webhook is encrypted under."""
    return {encrypted_under(text) for text in texts(of)}


def newest(encrypted: EncryptedDatabase) -> str:
    """Return the id of the newest key."""
    return Keyring(encrypted.settings).cipher().newest


def without_secrets(of: Webhook) -> Webhook:
    """Return the webhook with only those fields that are stored as plaintext."""
    previous = tuple(msgspec.structs.replace(item, secret="") for item in of.previous_secrets)
    headers = dict.fromkeys(of.headers, "")
    return msgspec.structs.replace(of, secret="", client_key="", headers=headers, previous_secrets=previous)


async def replaced(store: Store) -> Webhook:
    """Return a webhook whose secrets were set by a change."""
    before = await add_webhook(store)
    await store.replace_webhook(after := next_version(before, **FULL), new_entry())
    return after


@pytest.mark.parametrize("made", [lambda store: add_webhook(store, **FULL), replaced], ids=["created", "replaced"])
async def test_a_webhook_is_encrypted_and_comes_back_as_it_was(
    encrypted: EncryptedDatabase, made: Callable[[Store], Coroutine[None, None, Webhook]]
) -> None:
    """The owner, a list and the engine get it unchanged; in the database only its secrets are encrypted."""
    hook = await made(encrypted.store)
    assert await encrypted.store.get_webhook(ACME, hook.id) == hook
    assert (await encrypted.store.list_webhooks(ACME, ALL, WebhookFilter())).items == (hook,)
    assert await encrypted.store.webhook_states([hook.id, "wh_unknown"]) == {hook.id: WebhookState(webhook=hook)}
    stored = await encrypted.stored(hook)
    assert without_secrets(stored) == without_secrets(hook)
    assert list(stored.headers) == list(hook.headers)
    assert under(stored) == {newest(encrypted)}
    assert len(set(texts(stored))) == 7


async def test_no_file_holds_a_secret(encrypted: EncryptedDatabase) -> None:
    """The database, its log and every other file next to it are searched."""
    hook = await add_webhook(encrypted.store, **FULL)
    await encrypted.store.replace_webhook(next_version(hook, secret="another-secret-of-it"), new_entry())
    files = [file for file in encrypted.key_file.parent.rglob("*") if file.is_file()]
    content = b"".join(file.read_bytes() for file in files)
    assert hook.id.encode() in content or not encrypted.settings.database.startswith("sqlite")
    for secret in (*SECRETS, "another-secret-of-it"):
        assert secret.encode() not in content


async def test_a_page_knows_its_neighbours(encrypted: EncryptedDatabase) -> None:
    """As the store inside has them."""
    hooks = [await add_webhook(encrypted.store, **FULL) for _ in range(3)]
    page = msgspec.structs.replace(ALL, limit=1, anchor=hooks[0].id)
    found = await encrypted.store.list_webhooks(ACME, page, WebhookFilter())
    assert (found.items, found.has_prev, found.has_next) == ((hooks[1],), True, True)


def test_the_hot_path_is_the_inner_stores_own(database: str) -> None:
    """A publish calls the inner store directly; so does everything without secrets."""
    inner = open_store(Settings(database=database), ManualClock())
    encrypted = EncryptedStore(inner, Keyring(Settings(database=database)))
    asked = {name for name in vars(Store) if not name.startswith("_")}
    own = {name for name in asked if name in vars(EncryptedStore)}
    assert own == OWN
    assert all(getattr(encrypted, name) == getattr(inner, name) for name in asked - own)
    assert own.isdisjoint(HOT)
    assert asked.issuperset(HOT)


async def test_a_value_that_was_moved_to_another_row_is_not_decrypted(encrypted: EncryptedDatabase) -> None:
    """Of the same organization or another, or to another field of the same row; it is not read, not sent."""
    mine = await encrypted.stored(await add_webhook(encrypted.store, **FULL))
    moved = {
        "another webhook": webhook(secret=mine.secret),
        "another organization": webhook(OTHER, secret=mine.secret),
        "a header of another": webhook(headers={"x-a": mine.headers["x-a"]}),
        "another field": webhook(headers={"x-b": mine.headers["x-a"]}),
    }
    for case, stolen in moved.items():
        await encrypted.inner.create_webhook(stolen, new_entry())
        for query in (
            encrypted.store.get_webhook(stolen.organization_id, stolen.id),
            encrypted.store.list_webhooks(stolen.organization_id, ALL, WebhookFilter()),
            encrypted.store.webhook_states([stolen.id]),
        ):
            with pytest.raises(Unavailable, match=f"{stolen.id} does not decrypt under the master key"):
                await query
        await encrypted.store.delete_webhook(stolen.organization_id, stolen.id, START, new_entry())
        assert (await encrypted.store.list_webhooks(OTHER, ALL, WebhookFilter())).items == (), case


async def test_a_row_that_is_given_to_another_organization_is_not_decrypted(
    encrypted: EncryptedDatabase, tmp_path: Path
) -> None:
    """Its id stays the same; a copy of the database stands for an edited one."""
    hook = await encrypted.stored(await add_webhook(encrypted.store, **FULL))
    copy = open_store(Settings(database=f"sqlite:///{tmp_path / 'copy.db'}"), ManualClock())
    await copy.open()
    for name in (ACME, OTHER):
        await copy.create_organization(organization(name), new_entry())
    await copy.create_webhook(msgspec.structs.replace(hook, organization_id=OTHER), new_entry())
    with pytest.raises(Unavailable, match=f"other/{hook.id} does not decrypt"):
        await EncryptedStore(copy, Keyring(encrypted.settings)).get_webhook(OTHER, hook.id)
    await copy.close()


async def test_a_header_is_not_decrypted_under_another_name(encrypted: EncryptedDatabase) -> None:
    """Nor the secret as a header, within one row."""
    mine = await encrypted.stored(await add_webhook(encrypted.store, **FULL))
    for headers in (
        {"x-shown": mine.headers["authorization"]},
        {"authorization": mine.secret},
        {"authorization": mine.client_key},
    ):
        stored = await encrypted.stored(mine)
        await encrypted.inner.replace_webhook(next_version(stored, headers=headers), new_entry())
        with pytest.raises(Unavailable, match=r"header .* does not decrypt"):
            await encrypted.store.get_webhook(ACME, mine.id)


async def test_a_plaintext_secret_is_read_and_encrypted_at_the_next_change(encrypted: EncryptedDatabase) -> None:
    """As in a database of an older packhook; also a secret that looks encrypted."""
    old = webhook(**{**FULL, "secret": f"{PREFIX.removeprefix('§')}k1.AAAA"})
    await encrypted.inner.create_webhook(old, new_entry())
    store = await encrypted.reopen()
    assert await store.get_webhook(ACME, old.id) == old
    assert await store.webhook_states([old.id]) == {old.id: WebhookState(webhook=old)}
    assert under(await encrypted.stored(old)) == {None}
    await store.replace_webhook(changed := next_version(old, description="new"), new_entry())
    assert under(await encrypted.stored(old)) == {newest(encrypted)}
    assert await store.get_webhook(ACME, old.id) == changed


async def test_the_first_start_creates_a_key_file_and_later_ones_use_it(encrypted: EncryptedDatabase) -> None:
    """Only the first start logs that."""
    assert encrypted.store.created_key_file
    hook = await add_webhook(encrypted.store, **FULL)
    before = encrypted.key_file.read_bytes()
    store = await encrypted.reopen()
    assert not store.created_key_file
    assert encrypted.key_file.read_bytes() == before
    assert await store.get_webhook(ACME, hook.id) == hook


async def test_a_process_that_cannot_open_the_database_creates_no_key(tmp_path: Path) -> None:
    """The file belongs to the process that has the database open."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'packhook.db'}")
    other = open_store(settings, ManualClock())
    await other.open()
    with pytest.raises(DatabaseInUse):
        await EncryptedStore(open_store(settings, ManualClock()), Keyring(settings)).open()
    await other.close()
    assert not (tmp_path / "packhook.db.key").exists()


async def test_a_lost_key_file_stops_the_start(encrypted: EncryptedDatabase) -> None:
    """The error names the key's id and the path; no new file is created, and with the old one the node starts."""
    hook = await add_webhook(encrypted.store, **FULL)
    key_id, kept = newest(encrypted), encrypted.key_file.rename(encrypted.key_file.with_suffix(".away"))
    with pytest.raises(StartError) as refused:
        await encrypted.reopen()
    assert refused.value.detail == (
        f"the database has webhook secrets that are encrypted under the master key {key_id}, and the key file "
        f"{encrypted.key_file} does not have it: restore the key, or its copy; without it no delivery can be signed"
    )
    assert not encrypted.key_file.exists()
    kept.rename(encrypted.key_file)
    store = encrypted.new()
    await store.open()
    assert await store.get_webhook(ACME, hook.id) == hook


async def test_a_setting_without_the_old_key_stops_the_start(encrypted: EncryptedDatabase) -> None:
    """The error names all missing keys, wherever in the table they are used; with them the node starts."""
    keys = {name: (name, name.encode() * 16) for name in ("k1", "k2", "k3")}
    first = parse_master_keys(encrypted.key_file.read_text().splitlines()[-1:])
    hooks = []
    for name in ("k1", "k2"):
        store = await encrypted.reopen(master_keys=(keys[name], *keys.values(), *first))
        hooks.append(await add_webhook(store, **FULL))
    for has, missing in {("k3",): "k1, k2", ("k3", "k1"): "k2", ("k2",): "k1"}.items():
        with pytest.raises(StartError, match=f"under the master key {missing}, and the setting master_keys does not"):
            await encrypted.reopen(master_keys=tuple(keys[name] for name in has))
    store = encrypted.new(master_keys=(keys["k3"], keys["k2"], keys["k1"], *first))
    await store.open()
    assert (await store.list_webhooks(ACME, ALL, WebhookFilter())).items == tuple(hooks)


async def test_reencrypting_changes_nothing_but_the_key_and_the_version(encrypted: EncryptedDatabase) -> None:
    """Secrets under an old key, or plaintext, are re-encrypted; those under the newest key are unchanged."""
    sealed, clear = await add_webhook(encrypted.store, **FULL), webhook(OTHER, enabled=False, **FULL)
    await encrypted.inner.create_webhook(clear, new_entry())
    key_id = await encrypted.store.rotate(CLI, START)
    assert key_id == newest(encrypted)
    for before in (sealed, clear):
        assert await encrypted.store.reencrypt(await encrypted.stored(before))
        stored = await encrypted.stored(before)
        assert under(stored) == {key_id}
        assert without_secrets(stored) == without_secrets(next_version(before))
        assert await encrypted.store.get_webhook(before.organization_id, before.id) == next_version(before)
        assert not await encrypted.store.reencrypt(stored)
        assert await encrypted.stored(before) == stored


async def test_reencrypting_reverts_no_change(encrypted: EncryptedDatabase) -> None:
    """A concurrent change is kept, whatever key it is under; so are changes among many runs at once."""
    before = await add_webhook(encrypted.store, **FULL)
    stale = await encrypted.stored(before)
    await encrypted.store.replace_webhook(
        changed := next_version(before, secret="the-new-secret", updated_at=START + 1), new_entry()
    )
    await encrypted.store.rotate(CLI, START)
    assert await encrypted.store.reencrypt(stale)
    assert await encrypted.store.get_webhook(ACME, before.id) == next_version(changed)
    done = await asyncio.gather(*(encrypted.store.reencrypt(stale) for _ in range(5)))
    assert done == [False] * 5
    await encrypted.store.rotate(CLI, START)
    done = await asyncio.gather(*(encrypted.store.reencrypt(stale) for _ in range(5)))
    assert done.count(True) == 1
    assert await encrypted.store.get_webhook(ACME, before.id) == next_version(next_version(changed))


async def test_reencrypting_a_webhook_that_is_deleted_meanwhile(encrypted: EncryptedDatabase) -> None:
    """It does nothing."""
    before = await encrypted.stored(await add_webhook(encrypted.store))
    await encrypted.store.rotate(CLI, START)
    await encrypted.store.delete_webhook(ACME, before.id, START, new_entry())
    assert not await encrypted.store.reencrypt(before)


async def test_another_process_on_this_machine_uses_a_new_key(encrypted: EncryptedDatabase) -> None:
    """It decrypts and encrypts with it, without a restart."""
    theirs = EncryptedStore(encrypted.inner, Keyring(encrypted.settings))
    key_id = await theirs.rotate(CLI, START)
    hook = await add_webhook(theirs, **FULL)
    assert await encrypted.store.get_webhook(ACME, hook.id) == hook
    await theirs.rotate(CLI, START)
    assert under(await encrypted.stored(await add_webhook(encrypted.store, **FULL))) == {newest(encrypted)} != {key_id}


async def test_without_a_safe_key_file_nothing_is_encrypted(encrypted: EncryptedDatabase) -> None:
    """A secret under a key that is not stored would be lost. Stored secrets are still read and sent."""
    hook = await add_webhook(encrypted.store, **FULL)
    kept = encrypted.key_file.read_bytes()
    harms: dict[str, Callable[[], None]] = {
        "chmod 600": lambda: encrypted.key_file.chmod(0o644),
        "is missing: restore it, or its copy": encrypted.key_file.unlink,
    }
    for message, harm in harms.items():
        harm()
        for query in (
            encrypted.store.create_webhook(webhook(), new_entry()),
            encrypted.store.replace_webhook(next_version(hook), new_entry()),
            encrypted.store.rotate(CLI, START),
        ):
            with pytest.raises(Unavailable, match=message):
                await query
        assert await encrypted.store.webhook_states([hook.id]) == {hook.id: WebhookState(webhook=hook)}
    encrypted.key_file.write_bytes(kept)
    encrypted.key_file.chmod(0o600)
    assert (await encrypted.store.list_webhooks(ACME, ALL, WebhookFilter())).items == (hook,)
    await encrypted.store.replace_webhook(next_version(hook), new_entry())


async def test_all_webhooks_one_after_the_other(store: Store) -> None:
    """Of every organization, in the order of their ids, as they are stored; without the deleted."""
    hooks = [await add_webhook(store, name, **FULL) for name in (ACME, OTHER, ACME, ACME, OTHER)]
    await store.delete_webhook(ACME, hooks[2].id, START, new_entry())
    left = [hooks[0], hooks[1], hooks[3], hooks[4]]
    assert await store.iter_webhooks("", 10) == tuple(left)
    assert await store.iter_webhooks("", 2) == (left[0], left[1])
    assert await store.iter_webhooks(left[1].id, 1) == (left[2],)
    assert await store.iter_webhooks(left[1].id, 10) == (left[2], left[3])
    assert await store.iter_webhooks(left[3].id, 10) == ()
