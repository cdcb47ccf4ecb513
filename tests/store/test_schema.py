"""Test that the schema files for readers match the migrations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhook.store.migrate import migrations
from postgres.server import direct
from store.dialects import DIALECTS
from store.schema import FOLDER, postgres_schema, sqlite_schema


def test_the_sqlite_schema_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    """After a new migration, run ``make schema``."""
    assert (FOLDER / "sqlite.sql").read_text() == sqlite_schema(tmp_path / "packhook.db")


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_no_two_migrations_have_the_same_version(dialect: str) -> None:
    """A database that has one of them would never get the other."""
    versions = [step.version for step in migrations(dialect)]
    assert versions == sorted(set(versions))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database with the schema."""
    with DIALECTS["postgres"](tmp_path) as fresh:
        yield fresh


async def test_the_postgres_schema_file_is_what_the_migrations_make(url: str) -> None:
    """After a new migration, run ``make schema``."""
    async with direct(url) as connection:
        assert (FOLDER / "postgres.sql").read_text() == await postgres_schema(connection)
