"""Look at a database file, and change nothing: not even the files that SQLite makes beside it."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from packhook.core.errors import Unavailable
from packhook.core.overview import DatabaseState
from packhook.store.migrate import migrations, migrations_after
from packhook.store.sqlite.connection import BUSY_MS, schema_version
from packhook.store.sqlite.queries import SQL, database_errors, fetch_one

NEWEST: Final = migrations("sqlite")[-1].version


def inspect_file(path: str) -> DatabaseState:
    """Return the state of a database; one that is not there yet has version 0. Raises Unavailable or SchemaTooNew."""
    file = Path(path).resolve()
    _require_writable(file)
    if not file.exists():
        return DatabaseState(version=0, newest=NEWEST)
    with database_errors():
        db = _open_to_read(file)
        try:
            version = schema_version(db)
            migrations_after("sqlite", version)
            key_check = fetch_one(db, SQL["get_key_check"]) if version else None
            webhook = fetch_one(db, SQL["has_webhooks"]) if version else None
        finally:
            db.close()
    return DatabaseState(
        version=version,
        newest=NEWEST,
        key_check="" if key_check is None else bytes(key_check[0]).decode(),
        has_webhooks=webhook is not None,
    )


def _require_writable(file: Path) -> None:
    """Raise Unavailable unless this user may write the file, if it is there, and others beside it."""
    if not file.parent.is_dir():
        raise Unavailable(f"there is no folder {file.parent} for the database")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise Unavailable(f"this user may not write in the folder of the database, {file.parent}")
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        raise Unavailable(f"this user may not write the database, {file}")


def _open_to_read(file: Path) -> apsw.Connection:
    """Open the file; where nothing is in its log, without looking for one, which would be made."""
    log = file.with_name(f"{file.name}-wal")
    is_in_use = log.exists() and log.stat().st_size > 0
    url = f"file:{quote(str(file))}?mode=ro{'' if is_in_use else '&immutable=1'}"
    db = apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    db.set_busy_timeout(BUSY_MS)
    return db
