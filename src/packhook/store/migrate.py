"""Find the migrations that a schema still needs: ``migrations/DIALECT/0001_….sql`` and so on, forward only."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from packhook.core.errors import SchemaTooNew


@dataclass(frozen=True, slots=True)
class Migration:
    """Describe the step from the version before to ``version``."""

    version: int
    name: str
    script: str


@cache
def migrations(dialect: str) -> tuple[Migration, ...]:
    """Return all migrations of a dialect, in order, from version 1; the newest is the version of this code."""
    folder = files("packhook.store") / "migrations" / dialect
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, (folder / name).read_text("utf-8")) for name in names)


def migrations_after(dialect: str, version: int) -> tuple[Migration, ...]:
    """Return the migrations that a database of this version needs. Raises SchemaTooNew."""
    known = migrations(dialect)[-1].version
    if version > known:
        raise SchemaTooNew(
            f"the database has schema version {version}, this packhook knows versions up to {known}; "
            "start a newer packhook: pip install --upgrade packhook"
        )
    return tuple(step for step in migrations(dialect) if step.version > version)
