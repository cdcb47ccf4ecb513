"""Test the SQLite file: one process owns it; the disk may be full or read-only, and the file something else."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import apsw
import pytest

from packhook.core.clock import DAY
from packhook.core.errors import DatabaseInUse, InvalidSettings, SchemaTooNew, Unavailable
from packhook.core.model import DeliveryStatus, Event
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, Store
from packhook.store.migrate import migrations
from packhook.store.open import open_store
from packhook.store.sqlite import connection
from packhook.testing.clock import START, ManualClock
from store import another_process
from store.disks import SmallDisk, read_only, small_files, tiny_disk
from store.values import ACME, ALL, add_webhook, claim, delivered, event, new_entry, organization, publication, publish

ROOM = 512 * 1024
"""What is left of a small disk once the schema is there: place for a few events of ``publish_until_full``."""


def at(path: Path) -> Store:
    """Return a store on this file, not yet open."""
    return open_store(Settings(database=f"sqlite:///{path}"), ManualClock())


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """Open a store on this file for the block."""
    store = at(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path for a database."""
    return tmp_path / "packhook.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


async def test_a_file_is_open_once(path: Path) -> None:
    """A second opening is refused while the first lasts, and does not disturb it."""
    async with opened(path) as first:
        with pytest.raises(DatabaseInUse, match="another packhook process"):
            await at(path).open()
        await first.create_organization(organization(), new_entry())
    async with opened(path) as second:
        assert await second.get_organization(ACME) == organization()


def link_to(path: Path) -> Path:
    """Return another name of this file."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    return link


async def test_a_file_is_open_once_whatever_it_is_called(path: Path) -> None:
    """By a link, two processes would release each other's leases."""
    link = at(link_to(path))
    try:
        async with opened(path):
            with pytest.raises(DatabaseInUse):
                await link.open()
    finally:
        await link.close()


@asynccontextmanager
async def in_another_process(path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start a process that opens this file; yield it with its first line of output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(another_process.__file__),
        f"sqlite:///{path}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield process, (await process.stdout.readline()).decode().strip()
            process.stdin.close()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_second_process_is_refused(path: Path) -> None:
    """While the first has it open, in either order."""
    async with opened(path), in_another_process(path) as (_, output):
        assert output == "database_in_use"
    async with in_another_process(path) as (_, output):
        assert output == "claimed 0"
        with pytest.raises(DatabaseInUse):
            await at(path).open()
    async with opened(path) as store:
        await store.ping()


async def test_leases_of_a_killed_process_are_due_at_once(path: Path) -> None:
    """However long its lease would have lasted; no attempt is counted."""
    async with opened(path) as store:
        await store.create_organization(organization(), new_entry())
        await add_webhook(store)
        await publish(store, 3)
    async with in_another_process(path) as (process, output):
        assert output == "claimed 3"
        process.kill()
    async with opened(path) as store:
        listed = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
        assert [item.status for item in listed] == [DeliveryStatus.PENDING] * 3
        leased = await claim(store, START)
        assert [item.attempt_count for item in leased] == [0, 0, 0]
        assert await store.record([delivered(item, START) for item in leased]) == [True] * 3


async def test_leases_of_a_stopped_process_are_due_at_once(path: Path) -> None:
    """Also without a crash, and an old lease settles nothing any more."""
    async with opened(path) as store:
        await store.create_organization(organization(), new_entry())
        await add_webhook(store)
        await publish(store)
        (before,) = await claim(store, START)
    async with opened(path) as store:
        assert await store.record([delivered(before, START)]) == [False]
        (again,) = await claim(store, START)
        assert again.id == before.id


async def test_a_database_of_a_newer_packhook_is_refused(path: Path) -> None:
    """The error has the command that repairs it; the file is unchanged and not locked."""
    async with opened(path) as store:
        await store.create_organization(organization(), new_entry())
    known = migrations("sqlite")[-1].version
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA user_version = {known + 1}")
    with pytest.raises(SchemaTooNew) as refused:
        await at(path).open()
    assert f"version {known + 1}" in refused.value.detail
    assert "pip install --upgrade packhook" in refused.value.detail
    assert list(db.execute("PRAGMA user_version")) == [(known + 1,)]
    db.execute(f"PRAGMA user_version = {known}")
    db.close()
    async with opened(path) as store:
        assert await store.get_organization(ACME) == organization()


async def test_a_schema_that_changes_underneath_is_noticed(path: Path) -> None:
    """The ping fails, on which a node's health depends."""
    async with opened(path) as store:
        await store.ping()
        db = apsw.Connection(str(path))
        db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(Unavailable):
            await store.ping()


TABLES = ("events", "deliveries", "attempts", "lanes")
NOTES = b"These are my notes, not a database.\n" * 100


@pytest.fixture
def notes(path: Path) -> Path:
    """Return a file that is not a database."""
    path.write_bytes(NOTES)
    return path


def text_of(path: Path) -> bytes:
    """Return the content of the file."""
    return path.read_bytes()


def remove(path: Path) -> None:
    """Delete the file."""
    path.unlink()


async def test_a_file_that_is_no_database_is_unavailable(notes: Path) -> None:
    """It is left unchanged."""
    with pytest.raises(Unavailable):
        await at(notes).open()
    assert text_of(notes) == NOTES


async def test_a_folder_that_is_not_there_is_unavailable(folder: Path) -> None:
    """It may come, such as a disk that is mounted late."""
    with pytest.raises(Unavailable):
        await at(folder.parent / "missing" / "packhook.db").open()


async def test_a_folder_in_place_of_the_file_is_refused(folder: Path) -> None:
    """The setting is wrong, and the words name it."""
    with pytest.raises(InvalidSettings, match="database: expected the path of a file"):
        await at(folder).open()


async def test_a_folder_that_cannot_be_written_in_is_unavailable(folder: Path) -> None:
    """The words say where."""
    with read_only(folder), pytest.raises(Unavailable, match="packhook"):
        await at(folder / "packhook.db").open()


async def test_a_failed_opening_leaves_the_file_free(notes: Path) -> None:
    """Once it is mended it can be opened, by the same store too."""
    store = at(notes)
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()
    remove(notes)
    await store.open()
    await store.ping()
    await store.close()


async def test_a_busy_database_is_unavailable_and_then_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another transaction blocks ours; nothing of ours is half written."""
    monkeypatch.setattr(connection, "BUSY_MS", 10)
    async with opened(path) as store:
        await store.create_organization(organization(), new_entry())
        db = apsw.Connection(str(path))
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await publish(store)
        assert (await store.list_events(ACME, ALL)).items == ()
        db.execute("ROLLBACK")
        db.close()
        (stored,) = await publish(store)
        assert (await store.list_events(ACME, ALL)).items == (stored,)


async def test_retention_leaves_no_rows(path: Path) -> None:
    """No events, deliveries, attempts or lanes, of which the last two can only be counted in the file."""
    async with opened(path) as store:
        await store.create_organization(organization(), new_entry())
        await add_webhook(store)
        await publish(store, 3)
        await store.record([delivered(item, START) for item in await claim(store, START)])
        gone = await add_webhook(store, event_code="order.shipped")
        await publish(store, event_code="order.shipped")
        await store.delete_webhook(ACME, gone.id, START, new_entry())
        for _ in range(2):
            await store.apply_retention(events_before=START + 1, keys_before=0, audit_before=0, now=START, limit=10)
        assert await claim(store, START + DAY) == ()
    db = apsw.Connection(str(path))
    left = {table for table in TABLES if list(db.execute(f"SELECT 1 FROM {table}"))}  # noqa: S608 our own names
    db.close()
    assert left == set()


async def publish_until_full(store: Store) -> tuple[list[Event], list[Event]]:
    """Publish large events, four at a time, until some fail; return those that were stored and those that failed."""
    kept: list[Event] = []
    for _ in range(100):
        events = [event(data=b'{"a":"' + os.urandom(20_000).hex().encode() + b'"}') for _ in range(4)]
        answers = await asyncio.gather(*(store.publish(publication(item)) for item in events), return_exceptions=True)
        assert all(isinstance(answer, (tuple, Unavailable)) for answer in answers)
        kept += [item for item, answer in zip(events, answers, strict=True) if isinstance(answer, tuple)]
        failed = [item for item, answer in zip(events, answers, strict=True) if isinstance(answer, Unavailable)]
        if failed:
            return kept, failed
    raise AssertionError("the disk is larger than it should be")


@pytest.mark.parametrize("disk", [tiny_disk, small_files])
async def test_a_full_disk_is_unavailable_and_then_goes_on(
    folder: Path, disk: Callable[[Path], AbstractContextManager[SmallDisk]]
) -> None:
    """Acknowledged events are stored with their deliveries, failed ones are not; with free space writes succeed."""
    with disk(folder) as small:
        async with opened(folder / "packhook.db") as store:
            await store.create_organization(organization(), new_entry())
            await add_webhook(store)
            small.leave(ROOM)
            kept, failed = await publish_until_full(store)
            assert kept
            assert await stored_in(store) == {item.id for item in kept}
            small.make_room()
            for item in failed:
                await store.publish(publication(item))
        async with opened(folder / "packhook.db") as store:
            everything = {item.id for item in (*kept, *failed)}
            assert await stored_in(store) == everything
            assert {item.event_id for item in await claim(store, START)} == everything


async def stored_in(store: Store) -> set[str]:
    """Return the ids of the stored events; check that each has one delivery, and each delivery its event."""
    events = [item.id for item in (await store.list_events(ACME, ALL)).items]
    deliveries = [item.event_id for item in (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items]
    assert sorted(events) == sorted(deliveries)
    return set(events)
