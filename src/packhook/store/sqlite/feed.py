"""Read the feed: events are committed one transaction after another, so their rowids are the order of their commits."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import apsw

from packhook.core.errors import CursorExpired
from packhook.core.model import Event
from packhook.store import rows
from packhook.store.feed import SCAN_ROWS, FeedPage, FeedPosition, FeedRequest, FeedWatch, FeedWatches
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one
from packhook.store.sqlite.reader import Reader


class SqliteFeed:
    """See :class:`packhook.store.feed.FeedStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self.watches = FeedWatches()

    async def read(self, request: FeedRequest) -> FeedPage:
        """See FeedStore.read."""
        return await self._reader().read_for(request.organization_id, read_feed, request)

    async def end(self, organization_id: str) -> FeedPosition:
        """See FeedStore.end."""
        return await self._reader().read_for(organization_id, feed_end, organization_id)

    def watch(self, organization_id: str) -> AbstractContextManager[FeedWatch]:
        """See FeedStore.watch."""
        return self.watches.watch(organization_id)

    def hint_published(self, organization_ids: Iterable[str]) -> None:
        """Wake readers of these organizations; "" stands for any."""
        for organization_id in organization_ids:
            for watch in self.watches.all() if not organization_id else ():
                watch.wake()
            self.watches.wake(organization_id)


def read_feed(db: apsw.Connection, request: FeedRequest) -> FeedPage:
    """See FeedStore.read. Events are read one by one: no more than the page is in memory."""
    require_organization(db, request.organization_id)
    after = request.after or FeedPosition()
    scan = SCAN_ROWS if request.event_codes else request.limit
    found = db.execute(
        SQL["read_feed"], (request.organization_id, after.number, rows.to_json(list(request.event_codes)), scan)
    )
    events: list[Event] = []
    end, size, looked_at = after, 0, 0
    for number, event_id, matches in found:
        if matches:
            event = rows.EVENTS.read(fetch_all(db, SQL["get_feed_event"], (number,))[0])
            size += len(event.data)
            if events and (len(events) == request.limit or size > request.max_bytes):
                break
            events.append(event)
        looked_at += 1
        end = FeedPosition(number, event_id)
    start = _start(db, request.organization_id)
    if request.after is not None and (after < start or after.number > _newest(db)):
        raise CursorExpired
    return FeedPage(events=tuple(events), end=max(end, start), more=looked_at == scan)


def feed_end(db: apsw.Connection, organization_id: str) -> FeedPosition:
    """See FeedStore.end."""
    require_organization(db, organization_id)
    return max(FeedPosition(_newest(db)), _start(db, organization_id))


def _newest(db: apsw.Connection) -> int:
    return int(fetch_all(db, SQL["last_event_rowid"])[0][0])


def _start(db: apsw.Connection, organization_id: str) -> FeedPosition:
    row = fetch_one(db, SQL["feed_start"], (organization_id,))
    return FeedPosition() if row is None else FeedPosition(*row)
