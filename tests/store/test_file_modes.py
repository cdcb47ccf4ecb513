"""Orders are in these files: they are created for their owner alone, and what is there keeps its mode."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhook.settings import Settings
from packhook.store.encryption.keyring import Keyring
from packhook.store.sqlite.store import SqliteStore
from packhook.testing.clock import ManualClock
from store.values import new_entry

FILES = ("packhook.db", "packhook.db-shm", "packhook.db-wal", "packhook.db.lock")


@pytest.fixture(params=[0o022, 0o000], ids=["usual", "none"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Yield an empty folder, under a umask that leaves new files open to others."""
    before = os.umask(request.param)
    yield tmp_path
    os.umask(before)


async def modes_while_open(folder: Path) -> dict[str, int]:
    """Return the modes of the files of a store that has written something."""
    store = SqliteStore(str(folder / "packhook.db"), ManualClock())
    await store.open()
    await store.write_audit(new_entry())
    found = _modes(folder)
    await store.close()
    return found


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_the_files_of_a_database_are_created_for_their_owner(folder: Path) -> None:
    """The log, its index and the lock too; again where they are made anew."""
    assert await modes_while_open(folder) == dict.fromkeys(FILES, 0o600)
    assert await modes_while_open(folder) == dict.fromkeys(FILES, 0o600)


async def test_the_mode_of_a_file_that_is_there_is_kept(folder: Path) -> None:
    """An operator may open it to a group on purpose; the log gets the same mode."""
    await modes_while_open(folder)
    (folder / "packhook.db").chmod(0o640)
    (folder / "packhook.db.lock").chmod(0o660)
    assert await modes_while_open(folder) == {**dict.fromkeys(FILES, 0o640), "packhook.db.lock": 0o660}


def test_a_key_file_is_created_for_its_owner(folder: Path) -> None:
    """Whatever the umask is."""
    keyring = Keyring(Settings(database=f"sqlite:///{folder}/packhook.db"))
    assert keyring.create_file()
    assert keyring.file is not None
    assert stat.S_IMODE(keyring.file.stat().st_mode) == 0o600
