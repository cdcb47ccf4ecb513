"""Migrate the schema, one node at a time."""

import asyncio
from typing import Any, Final

import asyncpg
import structlog
from msgspec import Struct

from packhook.core.errors import StartError, Unavailable
from packhook.core.overview import DatabaseState
from packhook.store.migrate import Migration, migrations, migrations_after
from packhook.store.postgres.connection import MIGRATING, connect, database_errors
from packhook.store.postgres.queries import SQL, Db

_log: Final = structlog.get_logger("packhook.store")

MIGRATE_SECONDS: Final = 600.0
MIN_SERVER_VERSION: Final = 140_000
_CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS packhook;"
_DURABLE: Final = ("fsync", "full_page_writes")
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
    found = await _find(db)
    for setting in found.unsafe_settings:
        _log.warning("database_not_durable", setting=setting, detail="a crash of the server can lose or damage events")
    if not migrations_after("postgres", found.version):
        return
    await connection.execute(SQL["lock_schema"], timeout=MIGRATE_SECONDS)
    found = await _find(db)
    for step in migrations_after("postgres", found.version):
        await _run(connection, step, is_prepared=found.has_schema)


async def _run(connection: "asyncpg.Connection[Any]", step: Migration, *, is_prepared: bool) -> None:
    """Run a migration. A role that may not create a schema may not even say IF NOT EXISTS where there is one."""
    script = step.script.replace(_CREATE_SCHEMA, "") if is_prepared else step.script
    async with connection.transaction():
        await connection.execute(script, timeout=MIGRATE_SECONDS)
        await connection.execute(SQL["set_schema_version"], step.version)


class _Found(Struct, frozen=True, kw_only=True):
    """Hold what a database has. Version 0 is no table yet; ``unsafe_settings`` are those that durability rests on."""

    version: int
    has_schema: bool
    unsafe_settings: tuple[str, ...]


async def _find(db: Db) -> _Found:
    """Return what the database has. Raises StartError where the server does not suit."""
    row = await db.fetch_one(SQL["find_schema"])
    assert row is not None  # noqa: S101 it has no FROM
    has_table, number, name, encoding, has_schema, *durable = row
    if number < MIN_SERVER_VERSION:
        raise StartError(f"packhook needs PostgreSQL 14 or newer, this is {name}")
    if encoding != "UTF8":
        raise StartError(f"packhook needs a database whose encoding is UTF8, this one's is {encoding}")
    return _Found(
        version=await schema_version(db) if has_table else 0,
        has_schema=has_schema,
        unsafe_settings=tuple(name for name, is_on in zip(_DURABLE, durable, strict=True) if not is_on),
    )


async def inspect_server(url: str) -> DatabaseState:
    """Return the state of a database, and change nothing. Raises Unavailable, SchemaTooNew or StartError."""
    connection = await connect(url, MIGRATING)
    try:
        with database_errors():
            return await inspect(Db(connection))
    finally:
        connection.terminate()


async def inspect(db: Db) -> DatabaseState:
    """Do the same over a connection."""
    found = await _find(db)
    migrations_after("postgres", found.version)
    if not found.version:
        return DatabaseState(version=0, newest=VERSION, weaknesses=found.unsafe_settings)
    readiness = await db.fetch_one(SQL["readiness"])
    key_check = await db.fetch_one(SQL["get_key_check"])
    webhooks = await db.fetch_one(SQL["has_webhooks"])
    return DatabaseState(
        version=found.version,
        newest=VERSION,
        key_check="" if key_check is None else bytes(key_check[0]).decode(),
        has_webhooks=webhooks is not None,
        takes_writes=readiness is None or bool(readiness[1]),
        weaknesses=found.unsafe_settings,
    )


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
