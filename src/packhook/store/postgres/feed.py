"""Read the feed: the position of an event is the number of its transaction, shifted, and its id.

::

    oldest transaction that still runs ─▶ read what is before it ─▶ whatever commits later has a later position

A transaction that stays open delays the feed and skips nothing. Numbers begin anew in another cluster: after a restore
or a failover, later positions are shifted behind all that a reader can have (:func:`align`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
import structlog

from packhook.core.errors import CursorExpired, Unavailable
from packhook.core.model import Event
from packhook.store import rows
from packhook.store.feed import SCAN_ROWS, FeedPage, FeedPosition, FeedRequest, FeedWatch, FeedWatches
from packhook.store.postgres.organizations import get_organization
from packhook.store.postgres.queries import SQL, Db, has_no_nul, to_arrays

_log: Final = structlog.get_logger("packhook.store")

SHIFT: Final = 2**44  # more transactions than a cluster counts in its life
POLL_SECONDS: Final = 1.0
MIN_INTERVAL_SECONDS: Final = 0.01
MIN_BLOCKED_SECONDS: Final = 0.005
MAX_BLOCKED_SECONDS: Final = 0.25
ANNOUNCE_SECONDS: Final = 5.0
_ID: Final = rows.EVENTS.columns.index("id")


async def read_feed(db: Db, request: FeedRequest) -> FeedPage:
    """See FeedStore.read."""
    await get_organization(db, request.organization_id)
    after = request.after or FeedPosition()
    scan = SCAN_ROWS if request.event_codes else request.limit
    codes = [code for code in request.event_codes if has_no_nul(code)]
    values = (request.organization_id, after.number, after.event_id, scan, codes, request.limit, request.max_bytes)
    found = await db.fetch_all(SQL["read_feed"], *values)
    events: list[Event] = [rows.EVENTS.read(row[3:]) for row in map(tuple, found) if row[1]]
    end = FeedPosition(found[-1][0], found[-1][3 + _ID]) if found else after
    _, unused, start = await _bounds(db, request.organization_id)
    if request.after is not None and (after < start or after.number > unused):
        raise CursorExpired
    looked_at = found[-1][2] if found else 0
    return FeedPage(events=tuple(events), end=max(end, start), more=looked_at == scan)


async def feed_end(db: Db, organization_id: str) -> FeedPosition:
    """See FeedStore.end."""
    await get_organization(db, organization_id)
    end, _, start = await _bounds(db, organization_id)
    return max(FeedPosition(end), start)


async def _bounds(db: Db, organization_id: str) -> tuple[int, int, FeedPosition]:
    """Return where what is readable ends, a number that no position has reached, and where retention has removed to."""
    row = await db.fetch_one(SQL["feed_bounds"], organization_id)
    assert row is not None  # noqa: S101 an outer join
    end, unused, number, event_id = row
    return end, unused, FeedPosition() if number is None else FeedPosition(number, event_id)


async def align(db: Db) -> None:
    """Move later positions on where the cluster or its timeline is another than that of the newest ones.

    A role that may not see which cluster it is in leaves them as they are.
    """
    try:
        row = await db.fetch_one(SQL["find_cluster"])
    except asyncpg.InsufficientPrivilegeError:
        return
    known, shift = (await db.fetch_all(SQL["feed_cluster"]))[0]
    assert row is not None  # noqa: S101 there is one cluster
    if known == row[0]:
        return
    await db.begin()
    try:
        await db.fetch_all(SQL["lock_feed"])
        known, shift = (await db.fetch_all(SQL["feed_cluster"]))[0]
        if known is not None and known != row[0]:
            await db.fetch_all(SQL["shift_feed"], shift + SHIFT)
            _log.warning("feed_shifted", detail="the database is in another cluster, or on another timeline, by now")
        await db.fetch_all(SQL["set_feed_cluster"], row[0])
        await db.commit()
    except BaseException:
        await db.rollback()
        raise


class FeedPoller:
    """Wake the readers that wait on this node, as soon as an event behind their position is readable.

    One query for all readers: at once after a hint, every few milliseconds while a transaction holds an event back, and
    otherwise every second. ``announce`` lets other nodes give hints for as long as somebody reads here.
    """

    def __init__(
        self,
        read: Callable[[Callable[[Db], Awaitable[Sequence[rows.Row]]]], Awaitable[Sequence[rows.Row]]],
        announce: Callable[[], None],
    ) -> None:
        self.watches: Final = FeedWatches()
        self._read = read
        self._announce = announce
        self._hint = asyncio.Event()
        self._closing = False
        self._announced_at = -ANNOUNCE_SECONDS
        self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-feed")

    def hint(self) -> None:
        """Look now, if there are readers."""
        self._hint.set()

    async def close(self) -> None:
        """Wake all readers, and stop."""
        self._closing = True
        self._hint.set()
        for watch in self.watches.all():
            watch.wake()
        await self._task

    async def _run(self) -> None:
        blocked, loop = 0.0, asyncio.get_running_loop()
        while not self._closing:
            is_blocked, checked_at = False, loop.time()
            self._hint.clear()
            try:
                is_blocked = bool(self.watches) and await self._check()
            except Unavailable as error:
                _log.warning("feed_not_checked", detail=error.detail)
            except Exception:  # noqa: BLE001 the next round may succeed, and readers poll by themselves at their end
                _log.exception("feed_not_checked", detail="tried again")
            blocked = min(max(2 * blocked, MIN_BLOCKED_SECONDS), MAX_BLOCKED_SECONDS) if is_blocked else 0.0
            await self._wait(blocked or POLL_SECONDS)
            await asyncio.sleep(max(0.0, checked_at + MIN_INTERVAL_SECONDS - loop.time()))  # however many hints come

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hint.wait()
        except TimeoutError:
            return

    async def _check(self) -> bool:
        """Wake readers that have something; return whether an event is there that is not readable yet."""
        now = asyncio.get_running_loop().time()
        if now - self._announced_at >= ANNOUNCE_SECONDS:
            self._announced_at = now
            self._announce()
        watches: list[FeedWatch] = self.watches.all()
        places = [(watch.organization_id, watch.after.number, watch.after.event_id) for watch in watches]
        found = await self._read(lambda db: db.fetch_all(SQL["check_feed"], *to_arrays(places, 3)))
        for number, is_readable in found:
            if is_readable:
                watches[number - 1].wake()
        return not all(is_readable for _, is_readable in found)
