"""Lists by key, not by offset: which conditions and which order make a page, the same for both dialects."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from packhook.core import ids
from packhook.core.clock import MINUTE
from packhook.core.model import DeliveryStatus
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.rows import Row

T = TypeVar("T")

WAITED_AT_MOST: Final = MINUTE
"""How far, at most, the time in an id is from ``created_at`` where one was not made of the other: ``publish()`` in
PostgreSQL takes the time twice, and so did an older packhook."""

Fetch = Callable[[str, Mapping[str, Any]], list[Row]]


def between(where: DeliveryFilter) -> dict[str, str | int | None]:
    """``since`` and ``until`` as conditions: ids sort by time, so a time is a place in the index that a page walks."""
    since, until = where.since, where.until
    return {
        "created_at >= :since": since,
        "id >= :since_id": None if since is None else ids.delivery_id_lower_bound(since - WAITED_AT_MOST),
        "created_at < :until": until,
        "id < :until_id": None if until is None else ids.delivery_id_lower_bound(until + WAITED_AT_MOST),
    }


def is_merged(where: DeliveryFilter) -> bool:
    """Whether a page is merged from the lists of webhooks, each by an index of its own.

    So the deliveries of other event codes are not walked. What is live, and what was canceled, is few and has an index.
    """
    wide = where.event_code is not None and where.webhook_id is None and where.event_id is None
    return wide and where.status in (None, DeliveryStatus.DELIVERED, DeliveryStatus.EXHAUSTED)


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
