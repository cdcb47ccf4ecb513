"""Copy a database while a node runs, and put a copy in the place of a database.

::

    back_up: one snapshot ─ some pages a step ─▶ .NAME.….partial ─ fsync ─▶ NAME
    restore: the copy ─▶ .packhook.db.….partial ─ checks ─ fsync ─▶ packhook.db

The target has its name once it is whole and on disk, and never replaces another file. A ``.partial`` file is
locked while it is written: one that is not was left by a process that was killed, and the next one for this target
deletes it.
"""

import errno
import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from packhook.core.errors import StartError
from packhook.store.migrate import migrations_after
from packhook.store.sqlite.connection import lock, schema_version
from packhook.store.sqlite.queries import database_errors

PAGES_OF_A_STEP: Final = 500
PAUSE_SECONDS: Final = 0.005
"""Between two steps the disk is the node's."""

HEADER: Final = b"SQLite format 3\x00"
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def back_up(path: str, target: Path) -> None:
    """Copy the database to a new file, as it is at one instant. Raises StartError or Unavailable.

    A snapshot keeps the node's write-ahead log from starting over until this ends; nothing waits for it.
    """
    if not Path(path).is_file():
        raise StartError(f"there is no database {path}")
    with (
        _published(target) as partial,
        database_errors(),
        closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)) as source,
        closing(apsw.Connection(str(partial))) as copy,
    ):
        source.execute("BEGIN")
        if not schema_version(source):  # this read takes the snapshot
            raise StartError(f"{path} is not a database of packhook")
        with copy.backup("main", source, "main") as running:
            while not running.done:
                running.step(PAGES_OF_A_STEP)
                time.sleep(PAUSE_SECONDS)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it


def restore(backup: Path, path: str) -> None:
    """Make a database of a backup, where there is none. Raises StartError or Unavailable."""
    with closing(lock(path)):
        try:
            _restore(backup, path)
        finally:
            if not os.path.lexists(path):
                Path(f"{path}.lock").unlink(missing_ok=True)  # there is no database that it could be of


def abandoned(folder: Path) -> list[Path]:
    """Return the files in a folder that a killed backup or restore has left there, whatever its target."""
    found = sorted(folder.glob(".*.????????.partial"))
    return [file for file in found if _is_abandoned(file)]


def _restore(backup: Path, path: str) -> None:
    for file in (path, f"{path}-wal", f"{path}-shm"):
        if os.path.lexists(file):
            raise StartError(f"{file} is there: a restore replaces nothing; move it away first")
    if not os.path.isfile(backup):  # noqa: PTH113 False for any name
        raise StartError(f"there is no backup {backup}")
    _require_header(backup)
    if os.path.lexists(f"{backup}-wal"):
        raise StartError(f"{backup} has a log beside it, so it is no backup: make one with `packhook backup`")
    with _published(Path(path)) as partial:
        shutil.copyfile(backup, partial)
        _check(partial, backup)


def _require_header(backup: Path) -> None:
    """Raise StartError for a file that is no database, before a large one is copied."""
    try:
        with backup.open("rb") as file:
            header = file.read(len(HEADER))
    except OSError as error:
        raise StartError(f"cannot read {backup}: {error.strerror}") from None
    if header and header != HEADER:  # an empty file is a database without tables
        raise StartError(f"{backup} is damaged: it is no SQLite file")


def _check(partial: Path, backup: Path) -> None:
    """Raise StartError or SchemaTooNew unless this copy of a backup is whole, and a database that packhook can open."""
    try:
        url = f"file:{quote(str(partial))}?immutable=1"
        with closing(apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as copy:
            if not schema_version(copy):
                raise StartError(f"{backup} is not a database of packhook")
            migrations_after("sqlite", schema_version(copy))
            problems = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(3)")]
    except apsw.Error as error:
        problems = [str(error)]
    if problems != ["ok"]:
        raise StartError(f"{backup} is damaged: {'; '.join(problems)}")


@contextmanager
def _published(target: Path) -> Iterator[Path]:
    """Yield the path of a file for its owner alone; at the end it is on disk, and has the name of the target."""
    if os.path.lexists(target):
        raise StartError(f"{target} is there: choose another name")
    with suppress(OSError):
        for left in target.parent.glob(f".{glob.escape(target.name)}.????????.partial"):
            if _is_abandoned(left):
                left.unlink()
                Path(f"{left}-journal").unlink(missing_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    except OSError as error:
        raise StartError(f"cannot write to {target.parent}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "rb") as file:
            with suppress(OSError):  # some network file systems have no locks: nothing is deleted there
                fcntl.flock(file, fcntl.LOCK_EX)
            yield Path(name)
            os.fsync(file.fileno())
            _name(Path(name), target)
    except OSError as error:
        raise StartError(f"cannot write {target}: {error.strerror}") from error
    finally:
        Path(name).unlink(missing_ok=True)


def _is_abandoned(partial: Path) -> bool:
    """Return whether no process is writing this file."""
    try:
        with partial.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _name(file: Path, target: Path) -> None:
    """Give a file another name that is free; on disk when this returns. Raises OSError."""
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in _NO_LINKS or os.path.lexists(target):
            raise
        file.rename(target)  # a file system without links
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
