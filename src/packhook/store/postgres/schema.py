"""The schema, brought up to date by one node at a time."""

import asyncio
from typing import Any, Final

import asyncpg

from packhook.core.errors import StartError, Unavailable
from packhook.store.migrate import Migration, migrations, steps_from
from packhook.store.postgres.asking import SQL, Db
from packhook.store.postgres.connection import MIGRATING, connect, database_errors

MIGRATE_SECONDS: Final = 600.0
OLDEST: Final = 140_000
KNOWN: Final = migrations("postgres")[-1].version


async def migrate(url: str) -> None:
    """Run the steps that are missing, each in one transaction with its version number; other nodes wait meanwhile.

    SchemaTooNew where the schema is newer than the code, StartError where the server cannot hold it.
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
    if not steps_from("postgres", await _version(db)):
        return
    await connection.execute(SQL["lock_schema"], timeout=MIGRATE_SECONDS)
    for step in steps_from("postgres", await _version(db)):
        await _run(connection, step)


async def _run(connection: "asyncpg.Connection[Any]", step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(step.script, timeout=MIGRATE_SECONDS)
        await connection.execute(SQL["set_schema_version"], step.version)


async def _version(db: Db) -> int:
    """The version the schema is at; 0 is none yet."""
    row = await db.first(SQL["find_schema"])
    assert row is not None  # noqa: S101 it has no FROM
    is_there, number, name, encoding = row
    if number < OLDEST:
        raise StartError(f"packhook needs PostgreSQL 14 or newer, this is {name}")
    if encoding != "UTF8":
        raise StartError(f"packhook needs a database whose encoding is UTF8, this one's is {encoding}")
    return await schema_version(db) if is_there else 0


async def schema_version(db: Db) -> int:
    """The version of a schema that is there."""
    row = await db.first(SQL["schema_version"])
    if row is None:
        raise Unavailable("the database has no schema version")
    return int(row[0])


async def check(db: Db) -> None:
    """Unavailable where the schema is older than this code, or nothing can be written.

    During an upgrade newer nodes may have changed the schema.
    """
    row = await db.first(SQL["readiness"])
    version, takes_writes = (0, True) if row is None else row
    if version < KNOWN:
        raise Unavailable(f"the database has schema version {version}, this code needs {KNOWN}")
    if not takes_writes:
        raise Unavailable("the database takes no writes: it is a standby, or was made read-only")
