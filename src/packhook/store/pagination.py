"""Page through lists by key, not by offset, the same for both dialects."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from packhook.store.base import Page, PageRequest
from packhook.store.filters import Conditions
from packhook.store.rows import Row

T = TypeVar("T")


def page_statement(
    statement: str, conditions: Conditions, page: PageRequest, *, newest_first: bool
) -> tuple[str, dict[str, Any]]:
    """Return the statement that reads one page of a list ordered by id, and its named values.

    It reads one row more than asked for, to know whether there is a further page, and in the other direction for a page
    before the anchor.
    """
    descending = newest_first != page.backwards
    texts, values = list(conditions.texts), dict(conditions.values)
    if page.anchor is not None:
        texts.append(f"{conditions.key} {'<' if descending else '>'} :anchor")
        values["anchor"] = page.anchor
    order = "DESC" if descending else "ASC"
    text = statement.format(conditions=" AND ".join(texts) or "1 = 1", key=conditions.key, order=order)
    return text, {**values, "limit": page.limit + 1}


def page_of(found: Sequence[Row], page: PageRequest, read: Callable[[Row], T]) -> Page[T]:
    """Return the page that the rows of its statement make."""
    more = len(found) > page.limit
    rows = list(found[: page.limit])
    if page.backwards:
        rows.reverse()
    has_anchor = page.anchor is not None
    return Page(
        items=tuple(read(row) for row in rows),
        has_prev=more if page.backwards else has_anchor,
        has_next=has_anchor if page.backwards else more,
    )
