"""Test the feed over several nodes and transactions of any length: nothing is skipped, whatever commits late.

::

    4 publishers through two nodes ──┐
                                     ├─▶ PostgreSQL ─▶ one reader, on either node, killed and restarted from its cursor
    4 publishers in SQL, held open ──┘
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

from packhook.service.feed import Feed, FeedQuery
from packhook.store.feed import FeedPosition, FeedRequest
from packhook.store.migrate import migrations
from packhook.store.postgres import feed
from packhook.store.postgres.store import PostgresStore
from packhook.testing import ManualClock
from postgres.conftest import OpenNode
from postgres.server import Server, direct
from store.values import ACME, event, publication, publish

PUBLISH: Final = "SELECT packhook.publish('acme', 'order.created', '{\"id\": \"ord_1\"}'::json)"
HELD_SECONDS: Final = (0.0, 0.01, 0.1, 0.5, 1.0, 2.0)
ROUNDS: Final = 6
READS_OF_A_LIFE: Final = 5
FEED_VERSION: Final = next(step.version for step in migrations("postgres") if step.name.endswith("_feed.sql"))

if TYPE_CHECKING:
    Caller = asyncpg.Connection[Any]


@pytest.fixture
async def caller(url: str) -> "AsyncIterator[Caller]":
    """Open the platform's own connection."""
    async with direct(url) as connection:
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        yield connection


async def moment() -> None:
    """Let everything else that is ready run once."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_soon(passed.set)
    await passed.wait()


async def ids_behind(store: PostgresStore, after: FeedPosition | None = None) -> list[str]:
    """Return the ids of the events that are readable behind a position."""
    page = await store.feed.read(FeedRequest(organization_id=ACME, after=after, max_bytes=1 << 30))
    return [item.id for item in page.events]


class Reader:
    """Read the feed on one node after another; a life ends at any moment, and the next begins at the stored cursor."""

    def __init__(self, *nodes: PostgresStore) -> None:
        self._feeds = [Feed(node) for node in nodes]
        self._progress = asyncio.Event()
        self.cursor = ""
        self.pages: list[list[str]] = []
        """The ids of each page, in the order of the reads."""

        self.cursors: list[str] = []
        """The cursor that each page was read from."""

    async def live(self) -> None:
        """Read for ever: note a page, then store its cursor."""
        while True:
            for reading in self._feeds:
                began_at = self.cursor
                found = await reading.read(ACME, FeedQuery(after=began_at, limit=7, wait=5))
                self.pages.append([item.id for item in found.events])
                self.cursors.append(began_at)
                self._progress.set()
                await moment()  # a moment at which it may die, with the page noted and the cursor not stored
                self.cursor = found.cursor

    @property
    def seen(self) -> set[str]:
        """Return the ids that were read."""
        return {event_id for page in self.pages for event_id in page}

    async def until_pages(self, count: int) -> None:
        """Wait until so many pages were read."""
        while len(self.pages) < count:
            self._progress.clear()
            await self._progress.wait()

    async def until_seen(self, event_ids: set[str]) -> None:
        """Wait until all of these were read."""
        while not event_ids <= self.seen:
            self._progress.clear()
            await self._progress.wait()


async def publish_through(node: PostgresStore, committed: set[str], chance: random.Random) -> None:
    """Publish batches of events, one after another."""
    for _ in range(10 * ROUNDS):
        events = [event() for _ in range(chance.randrange(1, 4))]
        await node.publish(publication(*events))
        committed.update(item.id for item in events)


async def publish_in_sql(url: str, committed: set[str], chance: random.Random) -> None:
    """Publish in transactions that are held open, some of which are rolled back."""
    async with direct(url) as connection:
        for held in chance.sample(HELD_SECONDS, len(HELD_SECONDS)):
            await connection.execute("BEGIN")
            first = await connection.fetchval(PUBLISH)
            await connection.execute("SELECT pg_sleep($1)".replace("$1", str(held)))
            second = await connection.fetchval(PUBLISH)
            if chance.random() < 0.2:
                await connection.execute("ROLLBACK")
            else:
                await connection.execute("COMMIT")
                committed |= {first, second}


async def test_every_committed_event_is_read_in_an_order_that_never_goes_back(
    url: str, node: PostgresStore, other: PostgresStore
) -> None:
    """Eight publishers with transactions of different length on two nodes, and a reader that is killed now and then.

    Each committed event is read at least once. A page begins behind the cursor that it was read from.
    """
    committed: set[str] = set()
    reader = Reader(node, other)
    publishing = asyncio.gather(
        *(publish_through(store, committed, random.Random(seed)) for seed, store in enumerate((node, other) * 2)),
        *(publish_in_sql(url, committed, random.Random(seed)) for seed in range(4)),
    )
    async with asyncio.timeout(60):
        lives = 0
        while not publishing.done():
            life = asyncio.ensure_future(reader.live())
            reached = asyncio.ensure_future(reader.until_pages(len(reader.pages) + READS_OF_A_LIFE))
            waiting: list[asyncio.Future[Any]] = [reached, publishing, life]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in (life, reached):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            lives += 1
        await publishing
        last = asyncio.ensure_future(reader.live())
        await reader.until_seen(committed)
        last.cancel()
    assert lives > 5
    assert reader.seen == committed
    await check_order(url, reader)


async def check_order(url: str, reader: Reader) -> None:
    """Check every page against the positions in the database."""
    async with direct(url) as connection:
        found = await connection.fetch("SELECT position, id FROM events WHERE organization_id = 'acme'")
    position = {row["id"]: (row["position"], row["id"]) for row in found}
    ends: dict[str, tuple[int, str]] = {"": (0, "")}
    for cursor, page, following in zip(reader.cursors, reader.pages, [*reader.cursors[1:], None], strict=True):
        places = [ends[cursor], *(position[event_id] for event_id in page)]
        assert places == sorted(set(places))
        if following not in ends and following is not None:
            ends[following] = places[-1]


async def test_an_open_transaction_delays_the_feed(node: PostgresStore, caller: "Caller") -> None:
    """What committed after it began is not read before it ends; then both are, in the order in which they began."""
    (first,) = await publish(node)
    await caller.execute("BEGIN")
    held = await caller.fetchval(PUBLISH)
    (later,) = await publish(node)
    position = (await node.feed.read(FeedRequest(organization_id=ACME, after=None, max_bytes=1 << 30))).end
    assert await ids_behind(node) == [first.id]
    assert await ids_behind(node, position) == []
    await caller.execute("COMMIT")
    assert await ids_behind(node, position) == [held, later.id]


async def test_a_rolled_back_transaction_delays_the_feed_and_is_not_read(node: PostgresStore, caller: "Caller") -> None:
    """As if it had not been."""
    await caller.execute("BEGIN")
    await caller.fetchval(PUBLISH)
    (later,) = await publish(node)
    assert await ids_behind(node) == []
    await caller.execute("ROLLBACK")
    assert await ids_behind(node) == [later.id]


async def test_publishes_of_one_transaction_keep_their_order(node: PostgresStore, caller: "Caller") -> None:
    """Also within a millisecond, and in a subtransaction."""
    async with caller.transaction():
        published = [await caller.fetchval(PUBLISH) for _ in range(5)]
        async with caller.transaction():
            published += [await caller.fetchval(PUBLISH) for _ in range(5)]
    assert await ids_behind(node) == published


@pytest.mark.parametrize("way", ["a hint of another node", "a hint of SQL", "the poll alone"])
async def test_a_reader_is_woken_on_another_node(
    node: PostgresStore, other: PostgresStore, caller: "Caller", way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a notification; without one, by the poll."""
    polls = way == "the poll alone"
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.05 if polls else 3600.0)
    for hint in ("hint", "hint_readers") if polls else ():
        monkeypatch.setattr(other.feed, hint, lambda *_: None)
    waiting = asyncio.ensure_future(Feed(other).read(ACME, FeedQuery(wait=30)))
    async with asyncio.timeout(20):
        while not (waiting.done() or node._open.session.notifier.has_readers_elsewhere):
            await moment()
        if way == "a hint of SQL":
            expected = await caller.fetchval(PUBLISH)
        else:
            expected = (await publish(node))[0].id
        found = await waiting
    assert [item.id for item in found.events] == [expected]


async def test_a_reader_waits_for_a_transaction_that_holds_an_event_back(node: PostgresStore, caller: "Caller") -> None:
    """It is woken when the transaction ends, although nothing notifies it of that."""
    await caller.execute("BEGIN")
    await caller.execute("CREATE TEMPORARY TABLE of_their_own (id integer)")  # it writes, and publishes nothing
    waiting = asyncio.ensure_future(Feed(node).read(ACME, FeedQuery(wait=30)))
    (expected,) = await publish(node)
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()
    await caller.execute("COMMIT")
    async with asyncio.timeout(20):
        assert [item.id for item in (await waiting).events] == [expected.id]


async def test_positions_of_another_cluster(node: PostgresStore, open_node: OpenNode, caller: "Caller") -> None:
    """After a restore into a cluster that counts from the beginning, new events are behind every cursor there is."""
    (first,) = await publish(node)
    await caller.execute("UPDATE events SET position = 2000000000")  # the other cluster had run for longer
    await caller.execute("UPDATE instance SET value = 'another/1' WHERE name = 'feed_cluster'")
    restored = await open_node()
    read_there = FeedPosition(2_000_000_005, "")
    (later,) = await publish(restored)
    in_sql = await caller.fetchval(PUBLISH)
    assert await ids_behind(restored) == [first.id, later.id, in_sql]
    assert await ids_behind(restored, read_there) == [later.id, in_sql]
    again = await open_node()
    (last,) = await publish(again)
    assert await ids_behind(again, read_there) == [later.id, in_sql, last.id]


async def test_closing_a_node_ends_the_waits(open_node: OpenNode, node: PostgresStore) -> None:
    """At once, without an event."""
    del node  # it made the organization
    closing = await open_node()
    feeds = Feed(closing)
    waiting = asyncio.ensure_future(feeds.read(ACME, FeedQuery(wait=30)))
    while not (closing.feed.poller and closing.feed.poller.watches):
        await moment()
    feeds.stop()
    async with asyncio.timeout(20):
        assert (await waiting).events == ()


async def test_events_from_before_the_feed(server: Server) -> None:
    """Come first, in the order of their ids; the migration rewrites no row."""
    context = server.database("template0")
    url = await asyncio.to_thread(context.__enter__)
    steps = [step.script for step in migrations("postgres") if step.version < FEED_VERSION]
    relation = "SELECT pg_relation_filenode('packhook.events')"
    async with direct(url) as connection:
        for script in steps:
            async with connection.transaction():
                await connection.execute(script)
        await connection.execute(f"UPDATE schema_version SET version = {len(steps)}")  # noqa: S608 a number
        await connection.execute("INSERT INTO organizations (id, name, created_at) VALUES ('acme', 'Acme', 0)")
        for number in (2, 1, 3):
            values = (ACME, f"evt_{number}", "order.created", b"{}", 0)
            await connection.execute(
                "INSERT INTO events (organization_id, id, event_code, data, created_at) VALUES ($1, $2, $3, $4, $5)",
                *values,
            )
        before = await connection.fetchval(relation)
        store = PostgresStore(url, ManualClock())
        await store.open()
        (later,) = await publish(store)
        assert await ids_behind(store) == ["evt_1", "evt_2", "evt_3", later.id]
        assert await connection.fetchval(relation) == before
        await store.close()
    await asyncio.to_thread(context.__exit__, None, None, None)
