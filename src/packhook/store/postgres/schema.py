"""Migrate the schema, one node at a time."""

import asyncio
from typing import Any, Final

import asyncpg

from packhook.core.errors import StartError, Unavailable
from packhook.store.migrate import Migration, migrations, migrations_after
from packhook.store.postgres.connection import MIGRATING, connect, database_errors
from packhook.store.postgres.queries import SQL, Db

MIGRATE_SECONDS: Final = 600.0
MIN_SERVER_VERSION: Final = 140_000
VERSION: Final = migrations("postgres")[-1].version


async def migrate(url: str) -> None:
    """Run the missing migrations, each in one transaction with its version number; other nodes wait meanwhile.

    Raises SchemaTooNew where the schema is newer than the code, StartError where the server does not suit.
    """
    connection = await connect(url, MIGRATING)
    try:
        with database_errors():
            async with asyncio.timeout(MIGRATE_SECONDS):
                await _migrate(connection)
    finally:
        connection.terminate()


async def _migrate(connection: "asyncpg.Connection[Any]") -> None:
    db = Db(connection)
    if not migrations_after("postgres", await _version(db)):
        return
    await connection.execute(SQL["lock_schema"], timeout=MIGRATE_SECONDS)
    for step in migrations_after("postgres", await _version(db)):
        await _run(connection, step)


async def _run(connection: "asyncpg.Connection[Any]", step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(step.script, timeout=MIGRATE_SECONDS)
        await connection.execute(SQL["set_schema_version"], step.version)


async def _version(db: Db) -> int:
    """Return the version of the schema; 0 is none yet. Raises StartError where the server does not suit."""
    row = await db.fetch_one(SQL["find_schema"])
    assert row is not None  # noqa: S101 it has no FROM
    is_there, number, name, encoding = row
    if number < MIN_SERVER_VERSION:
        raise StartError(f"packhook needs PostgreSQL 14 or newer, this is {name}")
    if encoding != "UTF8":
        raise StartError(f"packhook needs a database whose encoding is UTF8, this one's is {encoding}")
    return await schema_version(db) if is_there else 0


async def schema_version(db: Db) -> int:
    """Return the version of a schema that is there."""
    row = await db.fetch_one(SQL["schema_version"])
    if row is None:
        raise Unavailable("the database has no schema version")
    return int(row[0])


async def check(db: Db) -> None:
    """Raise Unavailable where the schema is older than this code, or the database takes no writes.

    A newer schema is fine: during an upgrade newer nodes have migrated it.
    """
    row = await db.fetch_one(SQL["readiness"])
    version, takes_writes = (0, True) if row is None else row
    if version < VERSION:
        raise Unavailable(f"the database has schema version {version}, this code needs {VERSION}")
    if not takes_writes:
        raise Unavailable("the database takes no writes: it is a standby, or was made read-only")
