"""How the work functions ask: the dialect's statements, one row, all rows."""

from collections.abc import Mapping
from typing import Any, Final

import apsw

from packhook.store.pagination import Fetch
from packhook.store.rows import Row
from packhook.store.statements import load

SQL: Final = load("sqlite")


def first(db: apsw.Connection, statement: str, values: tuple[Any, ...] | Mapping[str, Any]) -> Row | None:
    """The first row, or None; the statement runs to its end either way."""
    found = list(db.execute(statement, values))
    return found[0] if found else None


def fetcher(db: apsw.Connection) -> Fetch:
    """All rows of a finished statement, for list_page."""
    return lambda statement, values: list(db.execute(statement, values))
