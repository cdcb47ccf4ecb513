"""Test the key check: a database belongs to one set of master keys, which every node must have."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhook.core.errors import StartError
from packhook.settings import MasterKey, Settings
from packhook.store.base import Store
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.open import open_store
from packhook.testing.clock import ManualClock
from store.dialects import DIALECTS
from store.values import ACME, add_webhook, new_entry, organization

K1: MasterKey = ("k1", b"1" * 32)
K2: MasterKey = ("k2", b"2" * 32)


def node(database: str, *keys: MasterKey) -> EncryptedStore:
    """Return a node's store with these keys, or with a key file in the working directory."""
    settings = Settings(database=database).model_copy(update={"master_keys": keys})
    return EncryptedStore(open_store(settings, ManualClock()), Keyring(settings))


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL database, shared by nodes."""
    with DIALECTS["postgres"](tmp_path) as url:
        yield url


def on_machines(shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> list[EncryptedStore]:
    """Return the stores of ``count`` nodes on different machines, none of which has a key yet."""
    made = []
    for number in range(count):
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        made.append(node(shared))
    return made


async def test_of_machines_that_start_at_once_each_without_a_key_one_is_the_first(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others refuse to start, say what to do, and leave no key behind; with the first one's file they start."""
    nodes = on_machines(shared, tmp_path, monkeypatch, 4)
    results = await asyncio.gather(*(item.open() for item in nodes), return_exceptions=True)
    (first,) = [number for number, item in enumerate(results) if item is None]
    refused = [item for item in results if item is not None]
    assert all(isinstance(item, StartError) for item in refused)
    assert {"copy the key file of the node" in str(item) for item in refused} == {True}
    files = [tmp_path / f"machine-{number}" / "packhook.key" for number in range(4)]
    assert [file.exists() for file in files] == [number == first for number in range(4)]
    await nodes[first].create_organization(organization(ACME), new_entry())
    hook = await add_webhook(nodes[first], secret="the-secret-of-one")
    other = (first + 1) % 4
    files[other].write_bytes(files[first].read_bytes())
    files[other].chmod(0o600)
    await nodes[other].open()
    assert await nodes[other].get_webhook(ACME, hook.id) == hook
    for number in (first, other):
        await nodes[number].close()


async def test_a_node_with_other_keys_is_refused_before_anything_is_encrypted(shared: str) -> None:
    """Also where a key has the right name; with the right key among its own it starts."""
    first = node(shared, K1)
    await first.open()
    for keys in ((K2,), (("k1", b"x" * 32),)):
        with pytest.raises(StartError, match="belongs to the master key k1, and the setting master_keys does not"):
            await node(shared, *keys).open()
    both = node(shared, K2, K1)
    await both.open()
    for item in (first, both):
        await item.close()


async def test_a_database_moves_to_the_newest_key(store: Store, database: str) -> None:
    """Once everything is encrypted under it, the older key may be removed, and no longer suffices for a start."""
    await store.close()
    both = node(database, K2, K1)
    await _first_with(database, K1)
    await both.open()
    await both.update_key_check()
    await both.close()
    newest = node(database, K2)
    await newest.open()
    await newest.close()


async def _first_with(database: str, key: MasterKey) -> None:
    first = node(database, key)
    await first.open()
    await first.close()


async def test_alone_with_a_file_a_lost_key_that_encrypted_nothing_is_replaced(tmp_path: Path) -> None:
    """No other process can have it, and nothing is lost with it."""
    database = f"sqlite:///{tmp_path}/packhook.db"
    await _first_with(database, K1)
    await _first_with(database, K2)
    again = node(database, K2)
    await again.open()
    await again.create_organization(organization(ACME), new_entry())
    await add_webhook(again)
    await again.close()
    with pytest.raises(StartError, match="k2"):
        await node(database, K1).open()
