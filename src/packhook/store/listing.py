"""Lists by key, not by offset: which conditions and which order make a page, the same for both dialects."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from packhook.store.base import Page, PageRequest
from packhook.store.rows import Row

T = TypeVar("T")

Fetch = Callable[[str, Mapping[str, Any]], list[Row]]


def list_page(
    statement: str,
    conditions: list[str],
    values: dict[str, Any],
    page: PageRequest,
    *,
    newest_first: bool,
    fetch: Fetch,
    read: Callable[[Row], T],
) -> Page[T]:
    """One page of a list that is ordered by id.

    Reads one row more than asked for, to know whether there is a further page; walks the other way for a page before
    the anchor. ``fetch`` runs the finished statement.
    """
    descending = newest_first != page.backwards
    if page.anchor is not None:
        conditions = [*conditions, f"id {'<' if descending else '>'} :anchor"]
        values = {**values, "anchor": page.anchor}
    text = statement.format(
        conditions=" AND ".join(conditions) or "1 = 1",
        order="DESC" if descending else "ASC",
    )
    rows = fetch(text, {**values, "limit": page.limit + 1})
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    if page.backwards:
        rows.reverse()
    came_from = page.anchor is not None
    return Page(
        items=tuple(read(row) for row in rows),
        has_prev=more if page.backwards else came_from,
        has_next=came_from if page.backwards else more,
    )
