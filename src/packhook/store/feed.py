"""Read events in the order in which they became readable, and wait for the next one.

A position is a place in that order. Whatever is committed after a read has a later position than the end of that read,
so reading on from there skips nothing. Both stores keep this promise in their own way (``sqlite/feed.py``,
``postgres/feed.py``).
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from msgspec import Struct

from packhook.core.model import Event

SCAN_ROWS: Final = 1_000
"""How many events one read looks at, whatever their event codes."""


class FeedPosition(Struct, frozen=True, order=True):
    """Name a place in an organization's feed: just behind this event; an empty id is before all of the number."""

    number: int = 0
    event_id: str = ""


class FeedRequest(Struct, frozen=True, kw_only=True):
    """Ask for events behind a position: at most ``limit`` (up to SCAN_ROWS) and ``max_bytes`` of data, but one always.

    ``event_codes`` empty: of any code. ``after`` None: from the oldest event that is kept.
    """

    organization_id: str
    after: FeedPosition | None
    event_codes: tuple[str, ...] = ()
    limit: int = SCAN_ROWS
    max_bytes: int


class FeedPage(Struct, frozen=True, kw_only=True):
    """Hold events, the oldest first, and the position to go on from.

    ``more``: it looked at as many events as one read does, so there may be others behind it.
    """

    events: tuple[Event, ...]
    end: FeedPosition
    more: bool


class FeedWatch:
    """Wait for events of one organization."""

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self.after = FeedPosition()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """End the wait: there may be something new."""
        self._changed.set()

    def reset(self) -> None:
        """Begin to notice: what becomes readable from now on ends the next wait."""
        self._changed.clear()

    async def wait(self, after: FeedPosition, seconds: float) -> None:
        """Wait until there may be an event behind this position, at most so long."""
        self.after = after
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


class FeedWatches(dict[str, set[FeedWatch]]):
    """Hold the watches of one node by organization, those that have any."""

    def all(self) -> list[FeedWatch]:
        """Return the watches of all organizations."""
        return [watch for watches in self.values() for watch in watches]

    def wake(self, organization_id: str) -> None:
        """Wake the watches of an organization."""
        for watch in self.get(organization_id, ()):
            watch.wake()

    @contextmanager
    def watch(self, organization_id: str) -> Iterator[FeedWatch]:
        """Watch an organization's feed within this block."""
        watch = FeedWatch(organization_id)
        self.setdefault(organization_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self[organization_id]
            watches.discard(watch)
            if not watches:
                del self[organization_id]


class FeedStore(Protocol):
    """Read the feed of a database."""

    async def read(self, request: FeedRequest) -> FeedPage:
        """Return the next events of an organization, in the order of their positions.

        Nothing that is committed later has a position before the end of the page. With event codes the page may have no
        event and an end behind what was looked at. Raises NotFound where the organization is not there, and
        CursorExpired where events behind ``after`` were removed by retention, or the position is not of this database.
        """
        ...

    async def end(self, organization_id: str) -> FeedPosition:
        """Return the position behind everything that is readable now."""
        ...

    def watch(self, organization_id: str) -> AbstractContextManager[FeedWatch]:
        """Watch for new events within a ``with`` block. A wake-up is a hint: read, and wait again without an event."""
        ...


class WithFeed(Protocol):
    """Hold the feed, as a part of the Store."""

    @property
    def feed(self) -> FeedStore:
        """Return the part that reads events by position."""
        ...
