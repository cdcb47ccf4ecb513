"""Write the schema files of the store from freshly migrated databases: ``make schema``.

``src/packhook/store/schema/DIALECT.sql`` is for readers: the whole schema in one place. A test compares it.
"""

import asyncio
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import asyncpg

from packhook.store.sqlite.connection import connect, migrate
from postgres.server import direct, running

FOLDER: Final = Path(str(files("packhook.store"))) / "schema"
_HEAD: Final = "-- Generated from the migrations by `make schema`. Do not edit.\n\n"
_TABLES: Final = """
SELECT format(E'CREATE TABLE %s (\\n%s\\n)%s', c.relname, string_agg(line.text, E',\\n' ORDER BY line.position),
  coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''))
FROM pg_class c CROSS JOIN LATERAL (
  SELECT a.attnum AS position, format('  %s %s%s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN l.collname = 'C' THEN ' COLLATE "C"' ELSE '' END,
    CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
    coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''),
    CASE WHEN a.attidentity <> '' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END) AS text
  FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 10000 + o.oid::bigint, format('  CONSTRAINT %s %s', o.conname, pg_get_constraintdef(o.oid))
  FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype IN ('p', 'u', 'f')) AS line
WHERE c.relnamespace = 'packhook'::regnamespace AND c.relkind = 'r'
GROUP BY c.relname, c.reloptions ORDER BY c.relname
"""
_INDEXES: Final = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'packhook'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
ORDER BY c.relname
"""
_FUNCTIONS: Final = """
SELECT rtrim(pg_get_functiondef(oid), E'\\n') FROM pg_proc WHERE pronamespace = 'packhook'::regnamespace
ORDER BY proname
"""
_TRIGGERS: Final = """
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'packhook'::regnamespace AND NOT t.tgisinternal ORDER BY t.tgname
"""


def sqlite_schema(path: Path) -> str:
    """Return the schema of a freshly migrated file at this path."""
    db = connect(str(path))
    migrate(db)
    found = [row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
    db.close()
    return _HEAD + "".join(f"{statement};\n\n" for statement in found).rstrip("\n") + "\n"


async def postgres_schema(connection: "asyncpg.Connection[Any]") -> str:
    """Return the schema of a freshly migrated database."""
    found = [row[0] for query in (_TABLES, _INDEXES, _FUNCTIONS, _TRIGGERS) for row in await connection.fetch(query)]
    return _HEAD + "".join(f"{statement};\n\n" for statement in found).rstrip("\n") + "\n"


async def _dump_postgres(url: str) -> str:
    async with direct(url) as connection:
        return await postgres_schema(connection)


def main() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder:
        (FOLDER / "sqlite.sql").write_text(sqlite_schema(Path(folder) / "packhook.db"))
    with running() as server, server.database() as url:
        (FOLDER / "postgres.sql").write_text(asyncio.run(_dump_postgres(url)))


if __name__ == "__main__":
    main()
