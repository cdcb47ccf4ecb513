"""Open the file, lock it to one process, and migrate its schema."""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

import apsw

from packhook.core.errors import DatabaseInUse, Unavailable
from packhook.store.config import DEFAULT, StoreConfig
from packhook.store.migrate import migrations_after
from packhook.store.sqlite.queries import database_errors

BUSY_MS: Final = 5_000
WAL_PAGES: Final = 4_000
"""The length of the log at which a checkpoint begins."""

OWNER_ONLY: Final = 0o600
CACHE_KIB: Final = 16_384
"""The page cache of each connection: one that fits into the processor's cache is quicker to write to."""


class Connection(apsw.Connection):
    """Connect to the file. ``store_config`` is the store's.

    ``outbox_filled``: the outbox may hold something; ``wake_outbox`` is called when it was filled.
    """

    store_config = DEFAULT
    outbox_filled = False
    wake_outbox: Callable[[], None] = staticmethod(lambda: None)


def connect(path: str, config: StoreConfig = DEFAULT) -> Connection:
    """Return a connection to the file. Durable: a COMMIT returns when it is on disk (WAL, ``synchronous=FULL``)."""
    _create_private(path)
    with database_errors():
        # Each row of an executemany takes a place in the cache; a statement used that many rows ago is prepared again.
        db = Connection(path, statementcachesize=600)
        db.store_config = config
        db.set_busy_timeout(BUSY_MS)
        # By default a statement that ORDER BY or a partial index serves is planned again for each set of values.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        db.execute("PRAGMA page_size = 8192")  # of a new file: an event's rows are large, and each page is two writes
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        return db


def _create_private(path: str) -> None:
    """Create a missing file for its owner alone; SQLite gives the log and its index the mode of the file."""
    with suppress(OSError):  # it is there, or SQLite says why it cannot be made
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, OWNER_ONLY))


def lock(path: str) -> IO[bytes]:
    """Lock the database to this process until the file is closed. Raises DatabaseInUse or Unavailable."""
    try:
        flags = os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC  # not blocking: a named pipe is an error
        file = os.fdopen(os.open(f"{path}.lock", flags, OWNER_ONLY), "wb")  # held open for the life of the store
    except OSError as error:
        raise Unavailable(f"cannot write beside the database: {error.strerror}: {path}.lock") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DatabaseInUse(f"{path} is open in another packhook process; one SQLite file serves one process") from None
    if not _is_named(file, f"{path}.lock"):  # a restore that failed deleted it meanwhile
        file.close()
        return lock(path)
    return file


def _is_named(file: IO[bytes], name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(name))  # noqa: PTH116 of two stats
    except FileNotFoundError:
        return False


def schema_version(db: apsw.Connection) -> int:
    """Return the schema version of the file; 0 is an empty file."""
    (version,) = next(iter(db.execute("PRAGMA user_version")))
    return int(version)


def migrate(db: apsw.Connection) -> None:
    """Run the missing migrations, each in one transaction with its version number. Raises SchemaTooNew."""
    with database_errors():
        for step in migrations_after("sqlite", schema_version(db)):
            db.execute(f"BEGIN IMMEDIATE; {step.script}; PRAGMA user_version = {step.version}; COMMIT")
