"""Test the feed in the store: events in the order of their commits, by position, bounded, and never skipped."""

import asyncio
from typing import Final

import pytest

from packhook.core.clock import DAY
from packhook.core.errors import CursorExpired, NotFound
from packhook.core.model import Event
from packhook.store.base import Store
from packhook.store.feed import SCAN_ROWS, FeedPage, FeedPosition, FeedRequest
from packhook.testing.clock import START
from store.values import ACME, OTHER, add_webhook, claim, event, publication, publish

BYTES: Final = 1 << 20
FAR: Final = FeedPosition(2**62)


async def read(
    store: Store,
    after: FeedPosition | None = None,
    *,
    codes: tuple[str, ...] = (),
    limit: int = SCAN_ROWS,
    max_bytes: int = BYTES,
    organization_id: str = ACME,
) -> FeedPage:
    """Read a page of the feed."""
    return await store.feed.read(
        FeedRequest(organization_id=organization_id, after=after, event_codes=codes, limit=limit, max_bytes=max_bytes)
    )


async def retain_nothing(store: Store, before: int = START + DAY) -> None:
    """Delete all events that are older and finished."""
    while not (
        await store.apply_retention(events_before=before, keys_before=0, audit_before=0, now=START + DAY, limit=100)
    ).is_done:
        continue


async def test_events_come_in_the_order_of_their_commits(store: Store) -> None:
    """As they were published, batch after batch, of this organization alone; reading on finds each once."""
    published: list[Event] = []
    for count in (1, 3, 2):
        published += await publish(store, count)
        await publish(store, 1, OTHER)
    assert (await read(store)).events == tuple(published)
    found: list[Event] = []
    after: FeedPosition | None = None
    while (page := await read(store, after, limit=2)).events:
        found += page.events
        assert after is None or page.end > after
        after = page.end
    assert found == published
    late = await publish(store)
    assert (await read(store, after)).events == tuple(late)


async def test_an_empty_feed_has_a_position(store: Store) -> None:
    """From there the first event is read; so it is from the end."""
    page = await read(store)
    end = await store.feed.end(ACME)
    assert (page.events, page.more) == ((), False)
    first = await publish(store)
    for position in (page.end, end):
        assert (await read(store, position)).events == tuple(first)
    assert (await read(store, await store.feed.end(ACME))).events == ()


async def test_a_page_is_bounded_in_bytes(store: Store) -> None:
    """It ends before so many bytes of data, and has one event always."""
    data = b'{"id":"' + b"x" * 100 + b'"}'
    await publish(store, 5, data=data)
    pages = []
    after = None
    while (page := await read(store, after, max_bytes=2 * len(data) + 1)).events:
        pages.append(len(page.events))
        after = page.end
    assert pages == [2, 2, 1]
    assert [len((await read(store, max_bytes=size)).events) for size in (1, len(data), 2 * len(data))] == [1, 1, 2]


async def test_event_codes(store: Store) -> None:
    """Only events of these are returned, and the end is behind the others that were looked at."""
    created = await publish(store, 2)
    shipped = await publish(store, 2, event_code="order.shipped")
    later = await publish(store, 1)
    page = await read(store, codes=("order.created",), limit=2)
    assert page.events == tuple(created)
    assert (await read(store, page.end, codes=("order.created",))).events == tuple(later)
    page = await read(store, codes=("order.shipped", "order.canceled"))
    assert page.events == tuple(shipped)
    assert page.end == (await read(store)).end
    none = await read(store, codes=("order.canceled",))
    assert (none.events, none.end) == ((), page.end)


async def test_a_read_looks_at_a_bounded_number_of_events(store: Store) -> None:
    """With a code that is rare: the page says that there may be more, and where to go on."""
    for _ in range(2):
        await publish(store, SCAN_ROWS // 2)
    rare = await publish(store, 1, event_code="order.canceled")
    page = await read(store, codes=("order.canceled",))
    assert (page.events, page.more) == ((), True)
    assert (await read(store, page.end, codes=("order.canceled",))).events == tuple(rare)


async def test_an_unknown_organization(store: Store) -> None:
    """It has no feed."""
    with pytest.raises(NotFound):
        await read(store, organization_id="unknown")
    with pytest.raises(NotFound):
        await store.feed.end("unknown")


async def test_a_position_whose_next_events_were_removed_is_refused(store: Store) -> None:
    """Not so one behind them, nor the beginning; with nothing left, new events are read from the last position on."""
    await publish(store, 2, created_at=START - 2 * DAY)
    before = await read(store, limit=1)
    last = await read(store, before.end)
    kept = await publish(store, created_at=START)
    await retain_nothing(store, START - DAY)
    with pytest.raises(CursorExpired):
        await read(store, before.end)
    assert (await read(store, last.end)).events == (await read(store)).events == tuple(kept)
    await retain_nothing(store)
    assert (await read(store)).events == ()
    with pytest.raises(CursorExpired):
        await read(store, last.end)
    end = (await read(store)).end
    late = await publish(store, created_at=START)
    assert (await read(store, end)).events == (await read(store)).events == tuple(late)


async def test_a_position_that_this_database_has_not_reached_is_refused(store: Store) -> None:
    """It is from another database, or this one was restored to an earlier time: events would be skipped."""
    await publish(store)
    with pytest.raises(CursorExpired):
        await read(store, FAR)


async def test_a_reader_is_woken_by_a_publish(store: Store) -> None:
    """Of its organization, with and without deliveries."""
    await add_webhook(store)
    with store.feed.watch(ACME) as watch:
        after = (await read(store)).end
        watch.reset()
        await store.publish(publication(event()))
        async with asyncio.timeout(15):
            await watch.wait(after, 60)
    assert len((await read(store, after)).events) == 1
    assert len(await claim(store, START)) == 1
