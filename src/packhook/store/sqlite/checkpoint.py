"""Checkpoints: what lies in the log goes into the file, beside the writing.

::

    COMMIT ─▶ the log is long ─▶ passes in a thread, until little is left ─▶ the next COMMIT does the rest: a log that
                                 (the log grows meanwhile)                   is done whole begins anew

Within a COMMIT, as SQLite does it by itself, everything waits for it: 35 ms for 4,000 pages. Only the last pass must be
there, for a log that grows meanwhile never begins anew.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import apsw
import structlog

from packhook.store.sqlite.connection import LOG_PAGES, connect

_log: Final = structlog.get_logger("packhook.store")

PASSES: Final = 4
LITTLE: Final = 100
"""Pages: so much is left to a COMMIT."""


class Checkpoints:
    """Of the log that one connection writes, from its first commit on until it is closed."""

    def __init__(self, db: apsw.Connection, path: str, pages: int = LOG_PAGES) -> None:
        self._beside = connect(path)
        self._thread_pool = ThreadPoolExecutor(1, "packhook-checkpoint")
        self._pages = self._due_at = pages
        self._under_way: Future[None] | None = None
        self._is_nearly_done = self._has_failed = False
        db.set_wal_hook(self._committed)

    def close(self) -> None:
        """After the writing connection is closed: wait for a pass that is under way, then disconnect."""
        self._thread_pool.shutdown()
        self._beside.close()

    def _committed(self, db: apsw.Connection, _name: str, pages: int) -> int:
        """SQLite says within each COMMIT how long the log is. Nothing in here may keep it from committing."""
        try:
            if self._is_nearly_done:
                self._is_nearly_done = False
                length, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                # Where a long read keeps what lies in the log, it is tried again when that is more.
                self._due_at = self._pages if length == done else pages + self._pages // 4
            elif pages >= self._due_at and (self._under_way is None or self._under_way.done()):
                self._under_way = self._thread_pool.submit(self._pass)
        except Exception as error:  # noqa: BLE001 as if the COMMIT had failed, which is done
            self._note(error)
        return apsw.SQLITE_OK

    def _pass(self) -> None:
        try:
            before = 0
            for _ in range(PASSES):
                length, _ = self._beside.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if length - before < LITTLE:
                    break
                before = length
            self._is_nearly_done, self._has_failed = True, False
        except apsw.Error as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        """The log grows on, and holds everything; the next commits try again. Said once, until it went well."""
        if not self._has_failed:
            self._has_failed = True
            _log.warning("checkpoint_failed", detail=f"{type(error).__name__}: {error}")
