"""Record what nodes of this schema version do, before a migration changes it: ``python -m upgrade.freeze``.

Run in ``tests/``, with the code of the version that is to be frozen, and kept with the migration that follows it:

* ``postgres_0001.json`` — the statements of a node's day with their values and results, to be executed again;
* ``sqlite_0001.sql`` — a database file filled with rows, as text.
"""

import asyncio
import base64
import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any, Final

import apsw

from packhook.core.model import Idempotency
from packhook.settings import Settings
from packhook.store.migrate import migrations
from packhook.store.open import open_store
from packhook.store.postgres.queries import SQL
from packhook.testing.clock import START, ManualClock
from postgres.server import direct, running
from store.values import (
    ACME,
    OTHER,
    add_webhook,
    api_key,
    ask,
    delivered,
    event,
    failed,
    hash_of,
    new_entry,
    organization,
    publication,
    publish,
)
from upgrade.day import RecordingDb, execute_everything

FOLDER: Final = Path(__file__).parent
MIGRATING: Final = frozenset({"lock_schema", "set_schema_version"})
CONNECTING: Final = frozenset({"override_defaults"})  # reads no table of packhook
IN_DOUBT: Final = frozenset(
    {"transaction_id", "transaction_status", "get_backend", "terminate_backend", "find_events", "find_attempts"}
)
"""Statements after a lost answer, or about processes: their results are never the same, or empty."""

VERSIONED: Final = frozenset({"find_schema", "readiness", "schema_version"})  # their result changes with the version


def main() -> None:
    """Freeze both dialects."""
    with running() as server, server.database() as url:
        asyncio.run(_freeze_postgres(url))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_freeze_sqlite(Path(folder) / "packhook.db"))


def made_by(dialect: str, version: int) -> str:
    """Return the hash of the migrations up to this version, which are never changed."""
    scripts = "".join(step.script for step in migrations(dialect) if step.version <= version)
    return hashlib.sha256(scripts.encode()).hexdigest()


async def _freeze_postgres(url: str) -> None:
    async with direct(url) as connection:
        recording = RecordingDb(connection)
        recording.recorded = []
        await execute_everything(recording)
    assert missing_statements(recording) == set()
    statements = list(dict.fromkeys(statement for statement, *_ in recording.recorded))
    steps = [
        [statements.index(statement), values, [list(row) for row in found]]
        for statement, values, found in recording.recorded
    ]
    version = migrations("postgres")[-1].version
    lines = ",\n".join(json.dumps(step, default=_bytes) for step in steps)
    listed = json.dumps(statements, indent=1)
    text = f'{{"made_by": "{made_by("postgres", version)}",\n"statements": {listed},\n"steps": [\n{lines}\n]}}\n'
    (FOLDER / f"postgres_{version:04d}.json").write_text(text)


def missing_statements(recording: RecordingDb) -> set[str]:
    """Return the statements that the recording lacks, of those that older nodes execute on a newer schema."""
    recorded = {statement for statement, *_ in recording.recorded}
    missing = {
        name for name, text in SQL.items() if not any(statement.startswith(_head(text)) for statement in recorded)
    }
    return missing - MIGRATING - CONNECTING - IN_DOUBT - VERSIONED


def _head(text: str) -> str:
    """Return the text before the conditions, which differ between calls, and before the first named value."""
    return re.split(r"\{conditions\}|(?<!:):\w", text)[0]


def _bytes(value: Any) -> dict[str, str]:  # noqa: ANN401 what JSON does not know
    assert isinstance(value, bytes), value
    return {"bytes": base64.b64encode(value).decode()}


async def _freeze_sqlite(path: Path) -> None:
    store = open_store(Settings(database=f"sqlite:///{path}"), ManualClock())
    await store.open()
    for name in (ACME, OTHER, "gone"):
        await store.create_organization(organization(name), new_entry())
        await store.create_api_key(made := api_key(name), hash_of(made.id), new_entry())
    await store.claim_operator_key(hash_of("operator"), new_entry())
    await add_webhook(store, description="mine", headers={"x": "y"}, retry_schedule=(1, 2))
    await add_webhook(store, OTHER)
    await add_webhook(store, "gone")
    await store.delete_organization("gone", START, new_entry())
    key = Idempotency(key="key", fingerprint=hash_of("body"), stale_before=0)
    await store.publish(publication(*(event() for _ in range(4)), idempotency=key))
    leased = (await ask(store, START)).deliveries
    await store.record([delivered(leased[0], START), failed(leased[1], START, next_attempt_at=START, hold_until=START)])
    await store.release(leased[3:], START, {leased[3].id})
    await publish(store, 1, OTHER)
    await store.close()
    version = migrations("sqlite")[-1].version
    (FOLDER / f"sqlite_{version:04d}.sql").write_text(_dump(path, version))


def _dump(path: Path, version: int) -> str:
    """Return the schema, then the rows, as the statements that create them."""
    db = apsw.Connection(str(path))
    made = [row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
    rows = [
        f"INSERT INTO {table} VALUES ({', '.join(map(apsw.format_sql_value, row))})"  # noqa: S608 as below
        for table in tables
        for row in db.execute(f"SELECT * FROM {table}")  # noqa: S608 the schema's own names
    ]
    db.close()
    return f"-- {made_by('sqlite', version)}\n" + ";\n".join([*made, *rows, f"PRAGMA user_version = {version}"]) + ";\n"


if __name__ == "__main__":
    main()
