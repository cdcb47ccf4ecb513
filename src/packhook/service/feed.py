"""The feed: an organization's events in the order in which they became readable, by cursor, with long poll.

A cursor is the organization's id and a position, as URL-safe base64. It is opaque to clients and bound to its
organization. Whatever is committed after a read comes after the cursor that the read returned.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from msgspec import Struct

from packhook.core.errors import FieldError, InvalidInput
from packhook.core.fairness import FairShare
from packhook.core.model import Event
from packhook.service.pagination import MAX_PAGE_BYTES
from packhook.store.base import Store
from packhook.store.feed import SCAN_ROWS, FeedPosition, FeedRequest, FeedWatch

LATEST: Final = "latest"
MAX_EVENTS: Final = SCAN_ROWS
DEFAULT_EVENTS: Final = 100
MAX_WAIT_SECONDS: Final = 30
MAX_WAITING: Final = 1_000
MAX_READS: Final = 10
"""How often one request looks for events of its codes before it returns none, and how far it got."""

_CURSOR: Final = re.compile(r"feed:([A-Za-z0-9_-]{1,64}):(\d{1,19}):([A-Za-z0-9_-]{0,64})", re.ASCII)


class FeedQuery(Struct, frozen=True, kw_only=True):
    """Ask for events behind a cursor, at most ``limit``; wait for the first one, at most so many seconds.

    ``after`` "" is the oldest event that is kept, LATEST only what comes from now on. ``event_codes`` may be
    patterns; none: of any code.
    """

    after: str = ""
    event_codes: tuple[str, ...] = ()
    limit: int = DEFAULT_EVENTS
    wait: float = 0.0


class FeedResult(Struct, frozen=True, kw_only=True):
    """Hold events, the oldest first, and the cursor to go on from."""

    events: tuple[Event, ...]
    cursor: str


class Feed:
    """Read events by cursor. At most MAX_WAITING requests wait at once, with a fair share by organization."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting = FairShare(MAX_WAITING, "too many readers wait for events; read without `wait`, or try again")
        self._watches: set[FeedWatch] = set()
        self._is_stopping = False

    async def read(
        self, organization_id: str, query: FeedQuery, reserve: Callable[[int], None] = lambda _: None
    ) -> FeedResult:
        """Return the next events, before MAX_PAGE_BYTES of data; ``reserve`` is called with the bytes of each.

        Without an event it waits, and returns as soon as there is one. Raises NotFound, InvalidInput for a cursor that
        is not of this feed, CursorExpired, and Overloaded where too many wait.
        """
        after = await self._position(organization_id, query.after)
        loop = asyncio.get_running_loop()
        deadline, reads = loop.time() + query.wait, 0
        with ExitStack() as stack:
            watch: FeedWatch | None = None
            while True:
                if watch is not None:
                    watch.reset()
                page = await self._store.feed.read(self._request(organization_id, after, query))
                after, reads = page.end, reads + 1
                for event in page.events:
                    reserve(len(event.data))
                seconds = deadline - loop.time()
                if page.events or self._is_stopping or (reads >= MAX_READS if page.more else seconds <= 0):
                    return FeedResult(events=page.events, cursor=_cursor(organization_id, after))
                if page.more:
                    continue
                if watch is None:
                    watch = self._watch(organization_id, stack)
                else:
                    await watch.wait(after, seconds)
                    reads = 0

    def stop(self) -> None:
        """Answer all requests that wait, now; no request waits any more."""
        self._is_stopping = True
        for watch in self._watches:
            watch.wake()

    def _watch(self, organization_id: str, stack: ExitStack) -> FeedWatch:
        """Begin to notice new events; the caller reads once more before it waits."""
        stack.enter_context(self._waiting.reserve(organization_id)).grow(1)
        watch = stack.enter_context(self._store.feed.watch(organization_id))
        self._watches.add(watch)
        stack.callback(self._watches.discard, watch)
        return watch

    async def _position(self, organization_id: str, after: str) -> FeedPosition | None:
        if after == LATEST:
            return await self._store.feed.end(organization_id)
        return _decode(organization_id, after) if after else None

    def _request(self, organization_id: str, after: FeedPosition | None, query: FeedQuery) -> FeedRequest:
        return FeedRequest(
            organization_id=organization_id,
            after=after,
            event_codes=self._store.event_types.catalogue.codes_of(query.event_codes),
            limit=query.limit,
            max_bytes=MAX_PAGE_BYTES,
        )


def _cursor(organization_id: str, position: FeedPosition) -> str:
    text = f"feed:{organization_id}:{position.number}:{position.event_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(organization_id: str, cursor: str) -> FeedPosition:
    """Return the position of a cursor. Raises InvalidInput unless it came from this organization's feed."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    match = _CURSOR.fullmatch(text)
    if match is None or match[1] != organization_id or int(match[2]) >= 2**63:
        message = f"expected a cursor from this organization's feed, or {LATEST!r}"
        raise InvalidInput([FieldError("after", "invalid_cursor", message)])
    return FeedPosition(int(match[2]), match[3])
