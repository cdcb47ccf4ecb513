"""Test a database that is away, slow or disconnected: callers get Unavailable, and the node recovers later."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import asyncpg
import pytest

from packhook.core.errors import Conflict, NotFound, Unavailable
from packhook.core.model import Event, Idempotency, LeasedDelivery, PublishRequest
from packhook.store.base import PageRequest, Store
from packhook.store.postgres import writer
from packhook.store.postgres.group_commit import MAX_CONCURRENT_BATCHES
from packhook.store.postgres.publish import STATEMENT_WEIGHT
from packhook.store.postgres.queries import Db
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START, ManualClock
from postgres.server import TEMPLATE, Server, direct, eventually, running
from postgres.wire import COMMIT, Relay, relay
from store.values import (
    ACME,
    ALL,
    LEASE,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    hash_of,
    new_entry,
    organization,
    publication,
    publish,
    webhook,
)
from support.values import replaced

T = TypeVar("T")

RELOAD: Final = "SELECT pg_reload_conf()"
WRITABLE: Final = "SET default_transaction_read_only = off"


def key(name: str = "key", body: str = "body") -> Idempotency:
    """Return an ``Idempotency-Key`` of a request with this body."""
    return Idempotency(key=name, fingerprint=hash_of(body), stale_before=START)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """Start a server that a test may stop."""
    with running() as started:
        yield started


@pytest.fixture
async def own_node(own_server: Server) -> AsyncIterator[PostgresStore]:
    """Open a node on it."""
    database = own_server.database()
    node = PostgresStore(await asyncio.to_thread(database.__enter__), ManualClock())
    await node.open()
    await node.create_organization(organization(), new_entry())
    yield node
    await node.close()
    await asyncio.to_thread(database.__exit__, None, None, None)


async def _is_there(node: Store) -> bool:
    try:
        await node.ping()
    except Unavailable:
        return False
    return True


QUERIES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "ping": lambda node: node.ping(),
    "read": lambda node: node.get_organization(ACME),
    "page": lambda node: node.list_events(ACME, ALL),
    "write": lambda node: node.create_webhook(webhook(), new_entry()),
    "publish": lambda node: node.publish(publication(event())),
    "claim": lambda node: ask(node, START),
}


async def test_a_server_that_is_away_is_unavailable_and_all_is_well_when_it_is_back(
    own_server: Server, own_node: PostgresStore
) -> None:
    """Whatever is asked meanwhile; what was committed is there, what was refused is not, and hints are heard again."""
    await add_webhook(own_node)
    (kept,) = await publish(own_node)
    leased = await claim_one(own_node, START)
    await asyncio.to_thread(own_server.stop)
    for query in QUERIES.values():
        with pytest.raises(Unavailable):
            await query(own_node)
    with pytest.raises(Unavailable):
        await own_node.record([delivered(leased, START)])
    await asyncio.to_thread(own_server.start)
    await eventually(lambda: _is_there(own_node))
    assert (await own_node.list_events(ACME, ALL)).items == (kept,)
    assert await own_node.record([delivered(leased, START)]) == [True]
    (new,) = await publish(own_node)
    assert (await claim_one(own_node, START)).event_id == new.id


async def test_a_server_that_takes_no_writes_is_not_ready(own_server: Server, own_node: PostgresStore) -> None:
    """As a standby takes none: what reads is answered, what writes is not, and all is well when it takes them again."""
    await add_webhook(own_node)
    await own_node.ping()
    await asyncio.to_thread(own_server.run, "ALTER SYSTEM SET default_transaction_read_only = on", RELOAD)
    try:
        await eventually(lambda: _takes_none(own_node))
        assert (await own_node.list_events(ACME, ALL)).items == ()
        with pytest.raises(Unavailable):
            await publish(own_node)
    finally:
        await asyncio.to_thread(own_server.run, WRITABLE, "ALTER SYSTEM RESET default_transaction_read_only", RELOAD)
    await eventually(lambda: _is_there(own_node))
    (kept,) = await publish(own_node)
    assert (await own_node.list_events(ACME, ALL)).items == (kept,)


async def _takes_none(node: Store) -> bool:
    try:
        await node.ping()
    except Unavailable as refused:
        return "takes no writes" in refused.detail
    return False


async def test_a_node_opens_only_while_the_server_is_there(own_server: Server) -> None:
    """Unavailable, and it may be opened later."""
    node = PostgresStore(own_server.url(TEMPLATE), ManualClock())
    await asyncio.to_thread(own_server.stop)
    with pytest.raises(Unavailable):
        await node.open()
    with pytest.raises(Unavailable):
        await node.ping()
    await asyncio.to_thread(own_server.start)
    await node.open()
    await node.ping()
    await node.close()


async def test_what_was_refused_in_a_crash_is_not_there_and_what_was_answered_is(
    own_server: Server, own_node: PostgresStore
) -> None:
    """The server dies in the middle of many publishes, and comes back while some still wait for their answer."""
    await add_webhook(own_node)
    own_node.attach(dispatcher := FakeDispatcher(slots=1_000_000))
    answered: list[str] = []
    refused: list[str] = []

    async def publisher() -> None:
        while not refused:
            stored = event()
            try:
                await own_node.publish(publication(stored))
                answered.append(stored.id)
            except Unavailable:
                refused.append(stored.id)

    publishers = [asyncio.ensure_future(publisher()) for _ in range(40)]
    await eventually(lambda: _are_many(answered))
    own_server.crash()
    await asyncio.to_thread(own_server.start)
    await asyncio.gather(*publishers)
    await eventually(lambda: _is_there(own_node))
    stored = (await own_node.list_events(ACME, PageRequest(limit=1_000_000))).items
    assert {item.id for item in stored} == set(answered)
    assert {item.event_id for item in dispatcher.enqueued} == set(answered)
    assert len(refused) >= 1


async def _are_many(answered: list[str]) -> bool:
    return len(answered) > 200


async def test_connections_that_were_cut_are_replaced(node: PostgresStore, url: str) -> None:
    """All of them at once, idle as they were: the next question is answered."""
    await asyncio.gather(*(node.get_organization(ACME) for _ in range(10)), *(publish(node) for _ in range(10)))
    async with direct(url) as killer:
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await eventually(lambda: _is_there(node))
    await eventually(lambda: _publishes(node))


async def _publishes(node: PostgresStore) -> bool:
    try:
        await publish(node)
    except Unavailable:
        return False
    return True


async def test_the_original_error_is_reported_though_the_connection_is_lost_too(node: PostgresStore) -> None:
    """A failed rollback does not replace it."""

    async def refused(db: Db) -> None:
        with suppress(Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError):
            await db.fetch_one("SELECT pg_terminate_backend(pg_backend_pid())")
        raise Conflict("another request was faster")

    with pytest.raises(Conflict):
        await node._open.session.writer.write(refused)
    await eventually(lambda: _publishes(node))


@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["deadlock", "serialization"])
async def test_a_conflicting_transaction_is_retried(node: PostgresStore, code: str) -> None:
    """It is retried a few times, each time in a new transaction."""
    tries = []

    async def in_the_way(db: Db) -> int:
        tries.append(db)
        if len(tries) < 3:
            await db.fetch_all(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return len(tries)

    assert await node._open.session.writer.write(in_the_way) == 3


async def test_a_lock_timeout_is_reported(node: PostgresStore, url: str) -> None:
    """Nothing is half written."""
    async with direct(url) as holder, holder.transaction():
        await holder.execute("LOCK TABLE deliveries, lane_wakeups")
        with pytest.raises(Unavailable):
            await publish(node)
    assert (await node.list_events(ACME, ALL)).items == ()
    await publish(node)


async def test_a_node_that_freezes_in_a_transaction_is_disconnected(node: PostgresStore, url: str) -> None:
    """A node that was stopped in the middle of a claim must not keep the lanes for ever."""
    async with direct(url) as asked:
        limit = await asked.fetchval("SHOW idle_in_transaction_session_timeout")
        used = await asked.fetch("SELECT 1 FROM pg_stat_activity WHERE application_name = 'packhook'")
    assert limit == "10s"
    assert len(used) >= 3
    await node.ping()


@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["deadlock", "serialization"])
async def test_a_conflicting_single_statement_is_retried(node: PostgresStore, code: str) -> None:
    """It is retried a few times, too."""

    class InTheWay:
        tries = 0

        async def write(self, db: Db) -> int:
            self.tries += 1
            if self.tries < 3:
                await db.fetch_all(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
            return self.tries

        async def recover(self, db: Db) -> int | None:
            raise AssertionError(db)

    assert await node._open.session.writer.execute_single(InTheWay()) == 3


@pytest.fixture
async def relayed(server: Server) -> AsyncIterator[tuple[PostgresStore, Relay]]:
    """Open a node whose connections go through a relay that the test controls."""
    database = server.database()
    url = await asyncio.to_thread(database.__enter__)
    with TemporaryDirectory(prefix="packhook-") as folder:
        async with relay(url, Path(folder)) as (through, wire):
            node = PostgresStore(through, ManualClock())
            await node.open()
            await node.create_organization(organization(), new_entry())
            yield node, wire
            await node.close()
    await asyncio.to_thread(database.__exit__, None, None, None)


async def test_a_commit_whose_answer_is_lost_still_counts(relayed: tuple[PostgresStore, Relay]) -> None:
    """The caller gets its result as usual; nothing is written twice."""
    node, wire = relayed
    hook = await add_webhook(node)
    wire.losing = COMMIT
    deleting = asyncio.ensure_future(node.delete_webhook(ACME, hook.id, START, new_entry()))
    await eventually(lambda: _lost(wire))
    wire.losing = b""
    await deleting
    with pytest.raises(NotFound):
        await node.get_webhook(ACME, hook.id)


async def test_a_publish_whose_answer_is_lost_still_counts(relayed: tuple[PostgresStore, Relay]) -> None:
    """The publisher gets its receipt and the engine its deliveries as usual; nothing is written twice."""
    node, wire = relayed
    await add_webhook(node)
    node.attach(dispatcher := FakeDispatcher(slots=10))
    (kept,) = await _lose(wire, event_lost := event(), node.publish(publication(event_lost)))
    assert kept.id == event_lost.id
    assert (await node.list_events(ACME, ALL)).items == (event_lost,)
    assert [item.event_id for item in dispatcher.enqueued] == [event_lost.id]
    assert await node.record([delivered(dispatcher.enqueued[0], START)]) == [True]


def _large(count: int = STATEMENT_WEIGHT) -> PublishRequest:
    return publication(*(event() for _ in range(count)))


async def test_a_large_publish_whose_answer_is_lost_still_counts(relayed: tuple[PostgresStore, Relay]) -> None:
    """It takes several statements: the answer to its COMMIT is lost, and the publisher gets its receipts as usual."""
    node, wire = relayed
    await add_webhook(node)
    node.attach(dispatcher := FakeDispatcher(slots=10 * STATEMENT_WEIGHT))
    large = _large()
    wire.losing = COMMIT
    publishing = node.publish(large)
    await eventually(lambda: _lost(wire))
    wire.losing = b""
    receipts = await publishing
    assert [receipt.id for receipt in receipts] == [event.id for event in large.events]
    listed = (await node.list_events(ACME, PageRequest(limit=2 * STATEMENT_WEIGHT))).items
    assert {event.id for event in listed} == {event.id for event in large.events}
    assert len(listed) == len(dispatcher.enqueued) == len(large.events)


async def test_a_large_publish_that_is_cut_off_is_undone(relayed: tuple[PostgresStore, Relay]) -> None:
    """Lost between two of its statements: nothing of the first ones is stored, and nothing is enqueued."""
    node, wire = relayed
    await add_webhook(node)
    node.attach(dispatcher := FakeDispatcher(slots=10 * STATEMENT_WEIGHT))
    large = _large(STATEMENT_WEIGHT + 10)
    with pytest.raises(Unavailable):
        await _lose(wire, large.events[-1], node.publish(large))
    assert (await node.list_events(ACME, ALL)).items == ()
    assert dispatcher.enqueued == []


async def test_a_statement_that_arrives_late_is_not_executed(relayed: tuple[PostgresStore, Relay]) -> None:
    """Unavailable is final: the server process that would execute the statement has ended."""
    node, wire = relayed
    wire.how = "late"
    lost = event()
    with pytest.raises(Unavailable):
        await _lose(wire, lost, node.publish(publication(lost)))
    wire.late.set()
    await eventually(lambda: _is_passed_on(wire))
    assert (await node.list_events(ACME, ALL)).items == ()


async def _is_passed_on(wire: Relay) -> bool:
    return wire.passed_on > 0


async def test_a_publish_that_still_waits_when_its_connection_is_lost_is_undone(
    relayed: tuple[PostgresStore, Relay],
) -> None:
    """Otherwise it would be written once nothing is in its way, long after it was refused.

    An event with its id, not yet committed, is in its way. A lock of the table would also stop the preparation.
    """
    node, wire = relayed
    (before,) = await publish(node)
    lost = event()
    wire.how = "cut"
    async with direct(wire.url) as holder:
        holding = holder.transaction()
        await holding.start()
        await holder.execute("CREATE TEMPORARY TABLE in_the_way ON COMMIT DROP AS SELECT * FROM events")
        await holder.execute("UPDATE in_the_way SET id = $1", lost.id)
        await holder.execute("INSERT INTO events SELECT * FROM in_the_way")
        with pytest.raises(Unavailable):
            await _lose(wire, lost, node.publish(publication(lost)))
        await holding.rollback()
    assert wire.passed_on == 1
    assert (await node.list_events(ACME, ALL)).items == (before,)


async def test_unsent_calls_do_not_wait_for_an_unknown_outcome(
    own_server: Server, own_node: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is gone: the first call's outcome is unknown, the others get Unavailable at once."""
    monkeypatch.setattr(writer, "RESOLVE_SECONDS", 3.0)
    await publish(own_node)
    holder = await asyncpg.connect(own_node._url)
    await holder.execute("BEGIN; LOCK TABLE packhook.events")
    doubted = []
    for count in range(1, MAX_CONCURRENT_BATCHES + 1):
        doubted.append(asyncio.ensure_future(publish(own_node)))
        await eventually(partial(_wait, holder, count))
    own_server.crash()
    holder.terminate()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await publish(own_node)
    assert not any(item.done() for item in doubted)
    for item in doubted:
        with pytest.raises(Unavailable):
            await item
    await asyncio.to_thread(own_server.start)
    await eventually(lambda: _is_there(own_node))
    assert len((await own_node.list_events(ACME, ALL)).items) == 1


async def _wait(looker: "asyncpg.Connection[asyncpg.Record]", count: int) -> bool:
    """Return whether ``count`` statements wait to write; the outbox, which only reads, may wait too."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
    return bool(await looker.fetchval(waiting) == count)


async def test_a_publish_that_never_arrived_is_unavailable(relayed: tuple[PostgresStore, Relay]) -> None:
    """Nothing was written, so it may be retried with its key."""
    node, wire = relayed
    lost = event()
    wire.how = "never"
    with pytest.raises(Unavailable):
        await _lose(wire, lost, node.publish(publication(lost, idempotency=key())))
    assert (await node.list_events(ACME, ALL)).items == ()
    (receipt,) = await node.publish(publication(again := event(), idempotency=key()))
    assert receipt.id == again.id


async def test_keys_of_a_publish_whose_answer_is_lost_are_distinguished(relayed: tuple[PostgresStore, Relay]) -> None:
    """It wrote some of the keys, others were known, and some calls have none."""
    node, wire = relayed
    await add_webhook(node)
    (before,) = await node.publish(publication(event(), idempotency=key("before")))
    node.attach(dispatcher := FakeDispatcher(slots=10))
    new, plain = event(), event()
    wire.losing = plain.id.encode()
    calls = [
        publication(event(), idempotency=key("before")),
        publication(new, idempotency=key("new")),
        publication(event(), idempotency=key("new")),
        publication(plain),
        publication(event(), idempotency=key("before", "another body")),
    ]
    query = [asyncio.ensure_future(node.publish(call)) for call in calls]
    await eventually(lambda: _lost(wire))
    wire.losing = b""
    answers = await asyncio.gather(*query, return_exceptions=True)
    assert [item[0].id for item in answers[:4] if isinstance(item, tuple)] == [before.id, new.id, new.id, plain.id]
    assert isinstance(answers[4], Conflict)
    assert sorted(item.event_id for item in dispatcher.enqueued) == sorted([new.id, plain.id])
    assert len((await node.list_events(ACME, ALL)).items) == 3


async def test_a_lost_look_up_rolls_nothing_back(relayed: tuple[PostgresStore, Relay]) -> None:
    """A known key is looked up after the others were written."""
    node, wire = relayed
    await add_webhook(node)
    (before,) = await node.publish(publication(event(), idempotency=key("came-before")))
    node.attach(dispatcher := FakeDispatcher(slots=10))
    wire.losing, wire.sparing = b"came-before", 1
    plain = event()
    calls = [publication(event(), idempotency=key("came-before")), publication(plain)]
    query = [asyncio.ensure_future(node.publish(call)) for call in calls]
    await eventually(lambda: _lost(wire))
    wire.losing = b""
    assert [receipt.id for (receipt,) in await asyncio.gather(*query)] == [before.id, plain.id]
    assert [item.event_id for item in dispatcher.enqueued] == [plain.id]


async def test_a_record_whose_answer_is_lost_still_counts(relayed: tuple[PostgresStore, Relay]) -> None:
    """The results say which lease settled, and which had expired."""
    node, wire = relayed
    await add_webhook(node)
    await publish(node, 2)
    first, second = await claim(node, START)
    (theirs,) = [item for item in await claim(node, START + LEASE) if item.id == second.id]
    mine = replaced(first, lease=theirs.lease)
    settled = await _lose(wire, first, node.record([delivered(mine, START + LEASE), delivered(second, START + LEASE)]))
    assert settled == [True, False]
    assert await node.record([delivered(theirs, START + LEASE)]) == [True]


async def _lose(wire: Relay, named: Event | LeasedDelivery, query: Awaitable[T]) -> T:
    """Lose the connection of the message that contains this id, and return the query's result."""
    wire.losing = named.id.encode()
    result = asyncio.ensure_future(query)
    await eventually(lambda: _lost(wire))
    wire.losing = b""
    return await result


async def _lost(wire: Relay) -> bool:
    return wire.lost > 0


async def test_a_commit_that_did_not_happen_is_unavailable(node: PostgresStore, url: str) -> None:
    """Disconnected at its COMMIT: nothing is stored, and nothing is enqueued."""
    await add_webhook(node)
    node.attach(dispatcher := FakeDispatcher(slots=10))
    async with direct(url) as owner:
        await owner.execute(DISCONNECT_AT_COMMIT)
        with pytest.raises(Unavailable):
            await publish(node)
        await owner.execute("DROP TRIGGER cut_off ON packhook.events")
    assert (await node.list_events(ACME, ALL)).items == ()
    assert dispatcher.enqueued == []
    node.attach(FakeDispatcher())
    await publish(node)
    assert len(await claim(node, START)) == 1


DISCONNECT_AT_COMMIT = """
CREATE FUNCTION packhook.cut_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut_off AFTER INSERT ON packhook.events DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION packhook.cut_off()
"""


async def test_a_write_goes_on_when_its_caller_is_cancelled(node: PostgresStore) -> None:
    """The write is completed; closing waits for it."""
    await add_webhook(node)
    await publish(node)
    leased = await claim_one(node, START)
    recording = asyncio.ensure_future(node.record([delivered(leased, START)]))
    publishing = asyncio.ensure_future(publish(node))
    started = asyncio.Event()
    asyncio.get_running_loop().call_soon(started.set)
    await started.wait()
    recording.cancel()
    publishing.cancel()
    await asyncio.gather(recording, publishing, return_exceptions=True)
    await eventually(lambda: _is_settled(node, leased.id))
    await eventually(lambda: _has_events(node, 2))


async def _is_settled(node: PostgresStore, delivery_id: str) -> bool:
    return (await node.get_delivery(ACME, delivery_id))[0].attempt_count == 1


async def _has_events(node: PostgresStore, count: int) -> bool:
    return len((await node.list_events(ACME, ALL)).items) == count
