"""Arrays as PostgreSQL spells them, ``{"a",NULL}``; a statement casts such a text: ``$1::text::text[]``.

asyncpg asks of each element of an array whether it is an array itself, and that takes longer than all else it does with
it. What is written for every event goes round that. The spelling: PostgreSQL's documentation, 8.15.6.
"""

from collections.abc import Sequence
from typing import Any, Final

NULL: Final = "NULL"


def spelled(arrays: Sequence[list[Any]], kinds: str) -> list[Any]:
    """Each array by its letter: ``n`` numbers, ``w`` words (no quote or backslash), ``t`` texts, ``-`` to leave it."""
    return [_spelled(array, kind) for array, kind in zip(arrays, kinds, strict=True)]


def _spelled(array: list[Any], kind: str) -> Any:  # noqa: ANN401 what asyncpg is given
    if kind == "-":
        return array
    if kind == "n":
        return numbers(array)
    return words(array) if kind == "w" else texts(array)


def numbers(values: list[int | None]) -> str:
    """Integers, or NULL."""
    return "{" + ",".join([NULL if value is None else str(value) for value in values]) + "}"


def words(values: list[str]) -> str:
    """In quotes, for one may be called null."""
    return '{"' + '","'.join(values) + '"}' if values else "{}"


def texts(values: list[str | None]) -> str:
    """Whatever they hold, save NUL, which PostgreSQL has no text with."""
    return "{" + ",".join([NULL if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
