"""What a file of SQLite rests on, so that a COMMIT is on disk when it is answered. PostgreSQL: test_sessions.py."""

from pathlib import Path

from packhook.store.sqlite.connection import Connection, connect
from packhook.store.sqlite.store import SqliteStore
from packhook.testing.clock import ManualClock

FULL = 2


def test_a_connection_syncs_each_commit_of_a_write_ahead_log(tmp_path: Path) -> None:
    """NORMAL would lose the last commits in a power cut, and nothing else would notice."""
    db = connect(str(tmp_path / "packhook.db"))
    assert db.pragma("synchronous") == FULL
    assert db.pragma("journal_mode") == "wal"
    assert db.pragma("foreign_keys") == 1
    db.close()


def _pragma(db: Connection, name: str) -> object:
    return db.pragma(name)


async def test_so_does_the_connection_that_writes(tmp_path: Path) -> None:
    """Asked on that very connection, after it has opened, migrated and attached its checkpoints."""
    store = SqliteStore(str(tmp_path / "packhook.db"), ManualClock())
    await store.open()
    try:
        asked = [await store._writer.write(_pragma, name) for name in ("synchronous", "journal_mode")]
    finally:
        await store.close()
    assert asked == [FULL, "wal"]
