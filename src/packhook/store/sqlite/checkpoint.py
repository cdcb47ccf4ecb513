"""Run checkpoints in a thread: move what is in the write-ahead log into the file, beside the writing.

::

    COMMIT ─▶ the log is long ─▶ passes in a thread, until little is left ─▶ the next COMMIT does the rest: only a log
                                 (the log grows meanwhile)                   that is moved completely starts over

SQLite's automatic checkpoint runs within a COMMIT, and everything waits for it: 35 ms for 4,000 pages. Only the last
pass has to, because a log that grows meanwhile never starts over.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import apsw
import structlog

from packhook.store.sqlite.connection import WAL_PAGES, connect

_log: Final = structlog.get_logger("packhook.store")

MAX_PASSES: Final = 4
MIN_PASS_PAGES: Final = 100
"""Fewer pages are left to a COMMIT."""


class Checkpoints:
    """Checkpoint the log that one connection writes, from its first commit until it is closed."""

    def __init__(self, db: apsw.Connection, path: str, pages: int = WAL_PAGES) -> None:
        self._connection = connect(path)
        self._executor = ThreadPoolExecutor(1, "packhook-checkpoint")
        self._pages = self._due_at = pages
        self._running: Future[None] | None = None
        self._is_nearly_done = self._has_failed = False
        db.set_wal_hook(self._on_commit)

    def close(self) -> None:
        """Wait for a running pass, then disconnect. Call it after the writing connection is closed."""
        self._executor.shutdown()
        self._connection.close()

    def _on_commit(self, db: apsw.Connection, _name: str, pages: int) -> int:
        """Start a checkpoint, or finish one. SQLite calls this within each COMMIT, which it must not break."""
        try:
            if self._is_nearly_done:
                self._is_nearly_done = False
                length, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                # A long read can keep pages in the log: try again when it is a quarter longer.
                self._due_at = self._pages if length == done else pages + self._pages // 4
            elif pages >= self._due_at and (self._running is None or self._running.done()):
                self._running = self._executor.submit(self._run_passes)
        except Exception as error:  # noqa: BLE001 an exception would look like a failed COMMIT, and it did not fail
            self._warn(error)
        return apsw.SQLITE_OK

    def _run_passes(self) -> None:
        try:
            before = 0
            for _ in range(MAX_PASSES):
                length, _ = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if length - before < MIN_PASS_PAGES:
                    break
                before = length
            self._is_nearly_done, self._has_failed = True, False
        except apsw.Error as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Log the first failure in a row. The log keeps growing and holds everything; the next commits try again."""
        if not self._has_failed:
            self._has_failed = True
            _log.warning("checkpoint_failed", detail=f"{type(error).__name__}: {error}")
