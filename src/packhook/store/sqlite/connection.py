"""The file: how it is opened, locked to one process, and brought up to date."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import apsw

from packhook.core.errors import DatabaseInUse, Unavailable
from packhook.store.migrate import steps_from

BUSY_MS: Final = 5_000
LOG_PAGES: Final = 4_000
"""So long the log becomes before it goes into the file: what is written often goes there seldom."""

CACHE_KIB: Final = 16_384
"""Pages in memory, of each connection: what fits beside all else into a processor's own cache is written quicker."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Whatever goes wrong inside the database is Unavailable to the world: full, read-only, broken, away."""
    try:
        yield
    except apsw.Error as error:
        raise Unavailable(f"the database did not do it: {type(error).__name__}: {error}") from error


def connect(path: str) -> apsw.Connection:
    """A connection to the file. Durable: a COMMIT returns when it is on disk (WAL, ``synchronous=FULL``)."""
    with database_errors():
        # Each row of an executemany takes a place in the cache, and what was used that many rows ago is prepared anew.
        db = apsw.Connection(path, statementcachesize=600)
        db.set_busy_timeout(BUSY_MS)
        # By default a statement that ORDER BY or a partial index serves is planned anew for each set of values.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        db.execute("PRAGMA page_size = 8192")  # of a new file: an event's rows are large, and each page is two writes
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        return db


def lock(path: str) -> IO[bytes]:
    """The right to be the only process with this database, until the file is closed; DatabaseInUse otherwise."""
    try:
        file = Path(f"{path}.lock").open("wb")  # noqa: SIM115 held open for the life of the store
    except OSError as error:
        raise Unavailable(f"cannot write beside the database: {error.strerror}: {path}.lock") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DatabaseInUse(f"{path} is open in another packhook process; one SQLite file serves one process") from None
    return file


def schema_version(db: apsw.Connection) -> int:
    """The version the file is at; 0 is an empty file."""
    (version,) = next(iter(db.execute("PRAGMA user_version")))
    return int(version)


def migrate(db: apsw.Connection) -> None:
    """Run the steps that are missing, each in one transaction with its version number. SchemaTooNew if it is newer."""
    with database_errors():
        for step in steps_from("sqlite", schema_version(db)):
            db.execute(f"BEGIN IMMEDIATE; {step.script}; PRAGMA user_version = {step.version}; COMMIT")
