"""Read lists page by page, and the feed: what is read next, without the I/O, which the two clients do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from packhook_client import calls
from packhook_client.call import Call
from packhook_client.values.events import FeedPage
from packhook_client.values.pages import Page

T = TypeVar("T")


@dataclass(slots=True)
class Pages(Generic[T]):
    """Follow a list. ``call`` reads the next page; None: there is no more."""

    call: Call[Page[T]] | None

    def take(self, page: Page[T]) -> Sequence[T]:
        """Return the items of a page that was read, and go on to the next one.

        Only the cursor of its link is used: a request with the key goes to no other server than the first one.
        """
        assert self.call is not None  # noqa: S101 it read the page
        cursor = page.next_cursor
        self.call = None if cursor is None else self.call.with_query(cursor=cursor)
        return page.data


@dataclass(slots=True)
class Feed:
    """Follow the feed. ``call`` reads the next events; None: there are no more, and only those were to be read."""

    call: Call[FeedPage] | None
    is_once: bool

    def take(self, page: FeedPage) -> bool:
        """Return whether a page has something, events or another cursor to store; go on behind it."""
        assert self.call is not None  # noqa: S101 it read the page
        is_new = bool(page.data) or page.cursor != self.call.query.get("after")
        self.call = self.call.with_query(after=page.cursor) if is_new or not self.is_once else None
        return is_new


def feed_from(
    after: str | None, event_codes: Sequence[str] | str | None, limit: int | None, wait: int, *, once: bool
) -> Feed:
    """Return the feed behind a cursor; ``once``: only the events that are there."""
    call = calls.read_feed(after=after, event_codes=event_codes, limit=limit, wait=0 if once else wait)
    return Feed(call, once)
