"""Test checkpoints: SQLite's log is copied to the file while others write and read, and nothing is lost."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import pytest
from structlog.testing import capture_logs

from packhook.store.sqlite.connection import connect
from packhook.store.sqlite.writer import MIN_PASS_PAGES, Checkpoints
from store.disks import tiny_disk

PAGES: Final = 200
PAGE: Final = 8192
PAGES_OF_COMMIT: Final = 5
ROW: Final = "INSERT INTO rows (data) VALUES (zeroblob(4000))"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of the database."""
    return str(tmp_path / "rows.db")


@pytest.fixture
def db(path: str) -> Iterator[apsw.Connection]:
    """Yield a connection to a file with one table."""
    opened = connect(path)
    opened.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    opened.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    yield opened
    opened.close()


def write(db: apsw.Connection, commits: int) -> None:
    """Commit this many transactions of a few pages each."""
    for _ in range(commits):
        with db:
            for _ in range(10):
                db.execute(ROW)


def log_pages(path: str) -> int:
    """Return the largest number of pages that the log had; it grows unless it starts over."""
    return Path(path + "-wal").stat().st_size // PAGE


def test_the_log_starts_over_however_fast_it_is_written(db: apsw.Connection, path: str) -> None:
    """Far more than its intended size is written: the log stays small beside that, also if the thread begins late."""
    checkpoints = Checkpoints(db, path, PAGES)
    commits = 0
    while commits < 15_000 and (commits == 0 or log_pages(path) >= commits * PAGES_OF_COMMIT / 3):
        write(db, 1_500)
        commits += 1_500
    assert commits * PAGES_OF_COMMIT > 30 * PAGES
    assert log_pages(path) < commits * PAGES_OF_COMMIT / 3
    count = list(db.execute("SELECT count(*) FROM rows"))
    db.close()
    checkpoints.close()
    assert not Path(path + "-wal").exists()  # the last connection to close copied everything
    again = connect(path)
    assert list(again.execute("SELECT count(*) FROM rows")) == count == [(10 * commits,)]
    assert list(again.execute("PRAGMA integrity_check")) == [("ok",)]
    again.close()


def log_state(db: apsw.Connection) -> tuple[int, int]:
    """Return the log's number of pages and how many of them are in the file, without a checkpoint."""
    return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)


def state_after_pass(db: apsw.Connection) -> tuple[int, int]:
    """Wait until the thread has copied pages, and return :func:`log_state`; nothing may write meanwhile."""
    until = time.monotonic() + 20
    while (found := log_state(db))[1] == 0:
        assert time.monotonic() < until
    return found


def test_the_thread_copies_all_but_a_rest_while_others_write(db: apsw.Connection, path: str) -> None:
    """It needs no commit; the next commit copies the rest, and the one after starts the log over."""
    checkpoints = Checkpoints(db, path, PAGES)
    while log_state(db)[0] < PAGES:
        write(db, 1)
    length, done = state_after_pass(db)
    assert length - done < MIN_PASS_PAGES
    for _ in range(2):
        write(db, 1)
    assert log_state(db)[0] < MIN_PASS_PAGES
    db.close()
    checkpoints.close()


def test_a_pass_that_finds_the_disk_full_is_logged_once_and_retried(tmp_path: Path) -> None:
    """The file cannot grow, but the log, which has its full size, can still be written."""
    with tiny_disk(tmp_path, size=40, taken=24) as disk, capture_logs() as logs:
        path = str(tmp_path / "rows.db")
        db = connect(path)
        db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        checkpoints = Checkpoints(db, path, PAGES)
        while log_state(db)[0] < PAGES:
            write(db, 1)
        state_after_pass(db)
        write(db, 2)
        assert log_state(db)[0] < MIN_PASS_PAGES
        with (tmp_path / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4_096))
        with pytest.raises(apsw.FullError):
            write(db, 1_000)
        until = time.monotonic() + 20
        while not logs:  # until a pass has failed
            assert time.monotonic() < until
        (before,) = list(db.execute("SELECT count(*) FROM rows"))
        disk.make_room()
        write(db, 100)
        db.close()
        checkpoints.close()
        again = connect(path)
        assert list(again.execute("SELECT count(*) FROM rows")) == [(before[0] + 1_000,)]
        again.close()
    assert [item["event"] for item in logs] == ["checkpoint_failed"]


def test_a_long_read_blocks_no_write_and_the_log_starts_over_afterwards(db: apsw.Connection, path: str) -> None:
    """Pages that it may still read stay in the log."""
    checkpoints = Checkpoints(db, path, PAGES)
    reader = connect(path)
    write(db, 1)
    reader.execute("BEGIN")
    (seen,) = list(reader.execute("SELECT count(*) FROM rows"))
    write(db, 300)
    held = log_pages(path)
    assert held > 3 * PAGES
    assert list(reader.execute("SELECT count(*) FROM rows")) == [seen]
    reader.execute("COMMIT")
    reader.close()
    write(db, 900)
    assert log_pages(path) < held + 900 * 5 - PAGES
    checkpoints.close()
