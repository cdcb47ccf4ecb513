"""Load the SQL statements: one to a file, ``queries/DIALECT/NAME.sql``, the same names in both dialects.

Column lists are placeholders, expanded here from ``rows.py``::

    {webhook_columns}      id, organization_id, …
    {webhook_columns:w.}   w.id, w.organization_id, …
    {webhook_values:2}     $2, $3, …     (SQLite: ?2, ?3, …)
"""

import re
from functools import cache
from importlib.resources import files
from typing import Final

from packhook.store.rows import COLUMNS

_PLACEHOLDER: Final = re.compile(r"\{(\w+)_(columns|values)(?::([\w.]+))?\}")
_MARKS: Final = {"sqlite": "?", "postgres": "$"}


@cache
def load(dialect: str) -> dict[str, str]:
    """Return the statements of one dialect by name, without their comments."""
    folder = files("packhook.store") / "queries" / dialect
    return {
        entry.name.removesuffix(".sql"): _expand(_body(entry.read_text("utf-8")), _MARKS[dialect])
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def _body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def _expand(text: str, mark: str) -> str:
    def replace(found: re.Match[str]) -> str:
        columns, option = COLUMNS[found[1]], found[3] or ""
        if found[2] == "columns":
            return ", ".join(f"{option}{column}" for column in columns)
        return ", ".join(f"{mark}{int(option) + number}" for number in range(len(columns)))

    return _PLACEHOLDER.sub(replace, text)
