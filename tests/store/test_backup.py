"""Test backup and restore of a SQLite file: while a node writes, whole or not at all, and checked before it is used."""

import asyncio
import multiprocessing
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from packhook.core.errors import DatabaseInUse, InvalidSettings, PackhookError, SchemaTooNew, StartError
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import abandoned, back_up, open_store, restore
from packhook.store.sqlite import backup
from packhook.testing.clock import START, ManualClock
from store.values import ACME, ALL, LEASE, add_webhook, claim, delivered, new_entry, organization, publish, status_of


def settings(path: Path) -> Settings:
    """Return the settings of a database at this path."""
    return Settings(database=f"sqlite:///{path}")


def names(folder: Path, pattern: str = "*") -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(file.name for file in folder.glob(pattern))


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """Open a store on this file for the block."""
    store = open_store(settings(path), ManualClock())
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Store]:
    """Open a store with a webhook."""
    async with opened(tmp_path / "packhook.db") as store:
        await store.create_organization(organization(ACME), new_entry())
        await add_webhook(store)
        yield store


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    """Return the settings of the store's database."""
    return settings(tmp_path / "packhook.db")


async def test_a_backup_goes_on_delivering_elsewhere(node: Store, source: Settings, tmp_path: Path) -> None:
    """What waited and what was being sent is delivered; what was delivered stays so."""
    done, sending, _ = await publish(node, 3)
    leased = {item.event_id: item for item in await claim(node, START)}
    await node.record([delivered(leased[done.id], START)])
    await node.release([item for id_, item in leased.items() if id_ not in (done.id, sending.id)], START)
    await asyncio.to_thread(back_up, source, tmp_path / "copy.db")
    (later,) = await publish(node)
    await asyncio.to_thread(restore, settings(tmp_path / "elsewhere.db"), tmp_path / "copy.db")
    async with opened(tmp_path / "elsewhere.db") as restored:
        again = await claim(restored, START + LEASE)
        assert len(again) == 2
        assert await restored.record([delivered(item, START + LEASE) for item in again]) == [True, True]
        assert await status_of(restored, leased[done.id]) == "delivered"
        listed = (await restored.list_events(ACME, ALL)).items
        assert later.id not in {item.id for item in listed}
        assert len(listed) == 3


async def test_writes_during_a_backup_neither_wait_nor_begin_it_anew(
    node: Store, source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup is what the database was when it began."""
    before = await publish(node, 20)
    monkeypatch.setattr(backup, "PAGES_OF_A_STEP", 1)
    running = asyncio.ensure_future(asyncio.to_thread(back_up, source, tmp_path / "copy.db"))
    published = 0
    while not running.done():
        published += len(await publish(node))
    await running
    assert published > 1
    await asyncio.to_thread(restore, settings(tmp_path / "elsewhere.db"), tmp_path / "copy.db")
    async with opened(tmp_path / "elsewhere.db") as restored:
        found = {item.id for item in (await restored.list_events(ACME, ALL)).items}
        assert {item.id for item in before} <= found
        assert len(found) < len(before) + published


async def test_a_backup_is_one_file_for_its_owner(node: Store, source: Settings, tmp_path: Path) -> None:
    """Nothing is left beside it."""
    await publish(node)
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(source, folder / "copy.db")
    (file,) = folder.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("copy.db", 0o600)


async def test_an_interrupted_backup_leaves_no_file(
    node: Store, source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither under its name nor another."""
    await publish(node)
    folder = tmp_path / "backups"
    folder.mkdir()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "PAGES_OF_A_STEP", 1)
    monkeypatch.setattr("time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        back_up(source, folder / "copy.db")
    assert names(folder) == []


async def test_what_a_backup_refuses(node: Store, source: Settings, tmp_path: Path) -> None:  # noqa: ARG001 it is open
    """Another file of the name, a folder that is not there, a database that is not there, or one of another program."""
    (tmp_path / "taken.db").write_text("precious")
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE t (x)")
    refused = {
        "taken.db is there": (source, tmp_path / "taken.db"),
        "cannot write to": (source, tmp_path / "nowhere" / "copy.db"),
        "there is no database": (settings(tmp_path / "missing.db"), tmp_path / "copy.db"),
        "is not a database of packhook": (settings(tmp_path / "other.db"), tmp_path / "copy.db"),
        "pg_dump": (Settings(database="postgresql://localhost/packhook"), tmp_path / "copy.db"),
    }
    for message, (given, target) in refused.items():
        with pytest.raises((StartError, InvalidSettings), match=message):
            back_up(given, target)
    assert (tmp_path / "taken.db").read_text() == "precious"
    assert not (tmp_path / "copy.db").exists()


async def test_what_a_restore_refuses(node: Store, source: Settings, tmp_path: Path) -> None:
    """A running node, a file or a log that is there, a damaged, foreign or newer backup; nothing is left."""
    await publish(node, 20)
    good = tmp_path / "good.db"
    back_up(source, good)
    content = good.read_bytes()
    (tmp_path / "cut.db").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.db").write_text("not a database" * 1_000)
    (tmp_path / "newer.db").write_bytes(content)
    newer = apsw.Connection(str(tmp_path / "newer.db"))
    newer.execute("PRAGMA user_version = 9999")
    newer.close()
    (tmp_path / "old.db-wal").write_bytes(b"left behind")
    target = settings(tmp_path / "new.db")
    refused: list[tuple[type[PackhookError], str, Settings, Path]] = [
        (DatabaseInUse, "another packhook process", source, good),
        (StartError, "old.db-wal is there", settings(tmp_path / "old.db"), good),
        (StartError, "is there: a restore replaces nothing", settings(good), good),
        (StartError, "there is no backup", target, tmp_path / "missing.db"),
        (StartError, "is damaged", target, tmp_path / "cut.db"),
        (StartError, "is damaged", target, tmp_path / "text.db"),
        (StartError, "has a log beside it", target, tmp_path / "packhook.db"),
        (SchemaTooNew, "9999", target, tmp_path / "newer.db"),
        (InvalidSettings, "pg_restore", Settings(database="postgresql://localhost/packhook"), good),
    ]
    for kind, message, given, file in refused:
        with pytest.raises(kind, match=message):
            restore(given, file)
    assert names(tmp_path, "new.db*") == []
    assert names(tmp_path, ".*partial") == []
    assert good.read_bytes() == content


def killed(monkeypatch: pytest.MonkeyPatch, where: str, work: Callable[[], object]) -> None:
    """Do work in a child that kills itself, as ``kill -9`` does, when it calls the function of this name."""

    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        monkeypatch.setattr(where, kill)
        work()

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


async def test_what_a_killed_backup_left_is_named_and_deleted(
    node: Store, source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next one of that name; one that is still being written is not touched."""
    await publish(node)
    folder = tmp_path / "backups"
    folder.mkdir()
    killed(monkeypatch, "time.sleep", lambda: back_up(source, folder / "copy.db"))
    (left,) = folder.iterdir()
    assert abandoned(folder) == [left]
    with backup._published(folder / "copy.db") as partial:  # a backup under way
        assert abandoned(folder) == []
        back_up(source, folder / "other.db")
        assert names(folder) == sorted([partial.name, "other.db"])
    back_up(source, folder / "last.db")
    assert names(folder) == ["copy.db", "last.db", "other.db"]


async def test_a_killed_restore_is_done_again(
    node: Store, source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that it left is in the way, or stays."""
    (event,) = await publish(node)
    back_up(source, tmp_path / "copy.db")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target = settings(folder / "new.db")
    killed(monkeypatch, "packhook.store.sqlite.backup._check", lambda: restore(target, tmp_path / "copy.db"))
    assert len(names(folder, ".new.db.*.partial")) == 1
    restore(target, tmp_path / "copy.db")
    assert names(folder) == ["new.db", "new.db.lock"]
    async with opened(folder / "new.db") as restored:
        assert [item.id for item in (await restored.list_events(ACME, ALL)).items] == [event.id]


async def test_retention_that_is_killed_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was deleting is there; the next round deletes it, and keeps what waits."""
    path = tmp_path / "packhook.db"
    async with opened(path) as store:
        await store.create_organization(organization(ACME), new_entry())
        await add_webhook(store)
        old, waiting = await publish(store, 2)
        leased = {item.event_id: item for item in await claim(store, START)}
        await store.record([delivered(leased[old.id], START)])
        await store.release([leased[waiting.id]], START)

    async def retain() -> int:
        async with opened(path) as store:
            batch = await store.apply_retention(
                events_before=START + 1, keys_before=0, audit_before=0, now=START + LEASE, limit=100
            )
            return batch.events

    killed(monkeypatch, "packhook.store.sqlite.retention._delete_by_age", lambda: asyncio.run(retain()))
    async with opened(path) as store:
        listed = {item.id for item in (await store.list_events(ACME, ALL)).items}
        assert listed == {old.id, waiting.id}
    assert await retain() == 1
    async with opened(path) as store:
        assert [item.id for item in (await store.list_events(ACME, ALL)).items] == [waiting.id]
        assert [item.event_id for item in await claim(store, START + LEASE)] == [waiting.id]
