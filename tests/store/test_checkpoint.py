"""What is committed goes from SQLite's log into the file: beside the writing, whatever reads, and it is all there."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import pytest
from structlog.testing import capture_logs

from packhook.store.sqlite.checkpoint import MIN_PASS_PAGES, Checkpoints
from packhook.store.sqlite.connection import connect
from store.disks import tiny_disk

PAGES: Final = 200
PAGE: Final = 8192
ROW: Final = "INSERT INTO rows (data) VALUES (zeroblob(4000))"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the file is."""
    return str(tmp_path / "rows.db")


@pytest.fixture
def db(path: str) -> Iterator[apsw.Connection]:
    """A connection that writes, to a file with a table in it."""
    opened = connect(path)
    opened.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    opened.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    yield opened
    opened.close()


def write(db: apsw.Connection, commits: int) -> None:
    """So many transactions, each of a few pages."""
    for _ in range(commits):
        with db:
            for _ in range(10):
                db.execute(ROW)


def in_the_log(path: str) -> int:
    """How many pages the log has had: it begins anew once all of it is in the file, and grows where not."""
    return Path(path + "-wal").stat().st_size // PAGE


def test_the_log_begins_anew_however_fast_it_is_written(db: apsw.Connection, path: str) -> None:
    """Over thirty times what it should hold goes through it."""
    checkpoints = Checkpoints(db, path, PAGES)
    write(db, 1_500)
    written = 1_500 * 5
    assert written > 30 * PAGES
    assert in_the_log(path) < written / 3
    count = list(db.execute("SELECT count(*) FROM rows"))
    db.close()
    checkpoints.close()
    assert not Path(path + "-wal").exists()  # who is the last to close it has put everything into the file
    again = connect(path)
    assert list(again.execute("SELECT count(*) FROM rows")) == count == [(15_000,)]
    assert list(again.execute("PRAGMA integrity_check")) == [("ok",)]
    again.close()


def lying_in(db: apsw.Connection) -> tuple[int, int]:
    """How many pages the log has, and how many of them are in the file; asking does nothing."""
    return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)


def after_a_pass(db: apsw.Connection) -> tuple[int, int]:
    """As lying_in, once the thread has put something into the file; nothing is written meanwhile."""
    until = time.monotonic() + 20
    while (found := lying_in(db))[1] == 0:
        assert time.monotonic() < until
    return found


def test_all_but_the_rest_is_done_beside_the_writing(db: apsw.Connection, path: str) -> None:
    """No commit is needed for it; the next one does what is left, and the one after begins the log anew."""
    checkpoints = Checkpoints(db, path, PAGES)
    while lying_in(db)[0] < PAGES:
        write(db, 1)
    length, done = after_a_pass(db)
    assert length - done < MIN_PASS_PAGES
    for _ in range(2):
        write(db, 1)
    assert lying_in(db)[0] < MIN_PASS_PAGES
    db.close()
    checkpoints.close()


def test_a_pass_that_found_no_room_is_told_once_and_tried_again(tmp_path: Path) -> None:
    """The file cannot grow while its log, which is as long as it will be, still can be written."""
    with tiny_disk(tmp_path, size=40, taken=24) as disk, capture_logs() as logs:
        path = str(tmp_path / "rows.db")
        db = connect(path)
        db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        checkpoints = Checkpoints(db, path, PAGES)
        while lying_in(db)[0] < PAGES:
            write(db, 1)
        after_a_pass(db)
        write(db, 2)
        assert lying_in(db)[0] < MIN_PASS_PAGES
        with (tmp_path / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4_096))
        with pytest.raises(apsw.FullError):
            write(db, 1_000)
        until = time.monotonic() + 20
        while not logs:  # the pass that was begun has found no room either
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


def test_a_long_read_keeps_nothing_from_being_written_and_afterwards_the_log_begins_anew(
    db: apsw.Connection, path: str
) -> None:
    """What it may still read stays in the log."""
    checkpoints = Checkpoints(db, path, PAGES)
    reader = connect(path)
    write(db, 1)
    reader.execute("BEGIN")
    (seen,) = list(reader.execute("SELECT count(*) FROM rows"))
    write(db, 300)
    held = in_the_log(path)
    assert held > 3 * PAGES
    assert list(reader.execute("SELECT count(*) FROM rows")) == [seen]
    reader.execute("COMMIT")
    reader.close()
    write(db, 900)
    assert in_the_log(path) < held + 900 * 5 - PAGES
    checkpoints.close()
