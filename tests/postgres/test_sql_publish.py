"""Test ``packhook.publish()``: an event in the caller's own transaction, and what follows its commit."""

import json
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from packhook.core.clock import SystemClock
from packhook.core.errors import Conflict
from packhook.core.idempotency import meaning_of
from packhook.core.model import Event, Idempotency, PublishRequest
from packhook.core.subscription import matches, subscription_of
from packhook.store.base import WebhookFilter
from packhook.store.dispatcher import NO_CAPACITY
from packhook.store.postgres import connection, outbox
from packhook.store.postgres.queries import Db
from packhook.store.postgres.store import PostgresStore
from packhook.store.postgres.subscribers import SubscriberLoader
from packhook.testing import ManualClock
from packhook.testing.clock import START
from postgres.server import direct, eventually
from store.values import (
    ACME,
    ALL,
    LEASE,
    FakeDispatcher,
    add_webhook,
    capacity,
    event,
    new_entry,
    next_version,
    organization,
)

ORDER = '{"id": "ord_1",  "note": "Zürich \\u00fc", "total": 9.950}'
PUBLISH = "SELECT packhook.publish($1, $2, $3::json, $4)"


@pytest.fixture
async def node(url: str) -> AsyncIterator[PostgresStore]:
    """Open a node with an organization and two webhooks for created orders."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    await store.create_organization(organization(ACME), new_entry())
    for code in ("order.created", "order.created", "order.shipped"):
        await add_webhook(store, event_code=code)
    yield store
    await store.close()


@pytest.fixture
async def caller(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """Open the platform's own connection."""
    async with direct(url) as connection:
        yield connection


async def events_of(node: PostgresStore) -> tuple[Event, ...]:
    """Return the organization's events."""
    return (await node.list_events(ACME, ALL)).items


async def deliveries_of(node: PostgresStore, event_id: str) -> list[tuple[str, str]]:
    """Return the webhook and status of each delivery, once there are some."""
    found: list[tuple[str, str]] = []

    async def fanned_out() -> bool:
        _, deliveries = await node.get_event(ACME, event_id)
        found[:] = [(delivery.webhook_id, delivery.status.value) for delivery in deliveries]
        return bool(found)

    await eventually(fanned_out)
    return found


async def is_routed(url: str) -> bool:
    """Return whether nothing waits for its fan-out."""
    async with direct(url) as looking:
        return int(await looking.fetchval("SELECT count(*) FROM outbox")) == 0


async def test_it_is_published_when_the_caller_commits(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """Byte for byte; a node makes a delivery for each webhook that gets it, and leases what it has capacity for."""
    node.attach(dispatcher := FakeDispatcher(slots=1))
    async with caller.transaction():
        event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
        assert await events_of(node) == ()
    (event,) = await events_of(node)
    assert re.fullmatch(r"evt_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", event_id)
    assert (event.id, event.event_code, event.data) == (event_id, "order.created", ORDER.encode())
    assert sorted(status for _, status in await deliveries_of(node, event_id)) == ["pending", "sending"]

    async def dispatched() -> bool:
        return bool(dispatcher.enqueued and dispatcher.notified)

    await eventually(dispatched)
    assert [(leased.event_id, leased.data) for leased in dispatcher.enqueued] == [(event_id, ORDER.encode())]


async def test_it_gets_its_subject_and_references_as_over_the_api(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """From its data, with its deliveries; data without them are no error."""
    data = '{"id": "ord_1", "reference": "A-\\u0031", "integration_reference": null}'
    first = await caller.fetchval(PUBLISH, ACME, "order.created", data, None)
    long = await caller.fetchval(PUBLISH, ACME, "order.created", json.dumps({"id": "x" * 256}), None)
    for event_id in (first, long):
        await deliveries_of(node, event_id)
    stored = {event.id: (event.subject, event.references) for event in await events_of(node)}
    assert stored == {first: ("ord_1", ("A-1",)), long: ("", ())}


async def test_it_has_the_trace_context_of_the_transaction(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """From two settings, which end with the transaction; a malformed one is ignored."""
    node.attach(dispatcher := FakeDispatcher(slots=100))
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    wanted = {}
    for traceparent, tracestate, kept in (
        (parent, "a=b,tenant@vendor=x y", f"{parent}\na=b,tenant@vendor=x y"),
        (parent, "", parent),
        (parent, "a=b\r\nx: y", parent),
        (parent.upper(), "a=b", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", "", ""),
    ):
        async with caller.transaction():
            await caller.execute("SELECT set_config('packhook.traceparent', $1, true)", traceparent)
            await caller.execute("SELECT set_config('packhook.tracestate', $1, true)", tracestate)
            wanted[await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None)] = kept
    wanted[await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None)] = ""
    assert {event.id: event.trace_context for event in await events_of(node)} == wanted

    async def all_dispatched() -> bool:
        return len(dispatcher.enqueued) == len(wanted)

    await eventually(all_dispatched)
    assert {leased.event_id: leased.trace_context for leased in dispatcher.enqueued} == wanted


async def test_one_of_many_nodes_fans_out(
    node: PostgresStore, other: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """Each event once, in the order in which the events were published."""
    node.attach(mine := FakeDispatcher(slots=1_000))
    other.attach(theirs := FakeDispatcher(slots=1_000))
    ids = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(40)]

    async def all_dispatched() -> bool:
        return len(mine.enqueued) + len(theirs.enqueued) >= len(ids)

    await eventually(all_dispatched)
    assert sorted(leased.event_id for leased in (*mine.enqueued, *theirs.enqueued)) == sorted(ids)
    for dispatcher in (mine, theirs):
        dispatched = [ids.index(leased.event_id) for leased in dispatcher.enqueued]
        assert dispatched == sorted(dispatched)


async def test_a_lost_notification_costs_only_latency(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox is polled."""
    monkeypatch.setattr("packhook.store.outbox.POLL_SECONDS", 0.05)
    await node._open.session.notifier.close()
    node._wake_outbox()  # the poll that is waited for now is as long as it was
    event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
    assert len(await deliveries_of(node, event_id)) == 2


async def test_a_node_that_dies_while_it_fans_out_has_changed_nothing(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str
) -> None:
    """Its transaction is rolled back with its connection, and another node makes the deliveries, once."""
    await node._open.outbox.close()
    event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
    async with direct(url) as dying:
        await dying.execute("BEGIN")
        made = await outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader()).fan_out(Db(dying))
        assert made is not None
        assert len(made.waiting) == 2
        async with direct(url) as second:  # it holds the lock
            assert await outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader()).fan_out(Db(second)) is None
        dying.terminate()
    heir = PostgresStore(url, ManualClock())
    await heir.open()
    assert len(await deliveries_of(heir, event_id)) == 2
    await heir.close()


async def test_the_webhooks_at_the_time_of_the_fan_out_get_it(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str
) -> None:
    """One that was created, changed or disabled between the commit and the fan-out counts as it is by then."""
    await node._open.outbox.close()
    first, second = (await node.list_webhooks(ACME, ALL, WebhookFilter(event_code="order.created"))).items
    loader = SubscriberLoader()
    async with direct(url) as looking:
        await loader.load(Db(looking), [ACME])  # what is cached is out of date by then
        event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
        await node.replace_webhook(next_version(first, enabled=False), new_entry())
        await node.replace_webhook(changed := next_version(second, endpoint=f"{second.endpoint}/2"), new_entry())
        created = await add_webhook(node, event_code="order.created")
        async with looking.transaction():
            made = await outbox.OutboxTurns(lambda: capacity(START + LEASE), loader).fan_out(Db(looking))
    assert made is not None
    versions = {leased.webhook_id: leased.webhook_version for leased in made.leased}
    assert versions == {changed.id: changed.version, created.id: created.version}
    assert len(await deliveries_of(node, event_id)) == 2


async def test_a_transaction_makes_a_bounded_number_of_deliveries(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other events stay for the next one; an event with too many deliveries is a transaction of its own."""
    await node._open.outbox.close()
    published = [await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None) for _ in range(3)]
    made = []
    async with direct(url) as looking:
        for most in (5, 1):
            monkeypatch.setattr(outbox, "MAX_DELIVERIES", most)
            async with looking.transaction():
                outcome = await outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader()).fan_out(Db(looking))
            assert outcome is not None
            made.append([receipt.id for receipt in outcome.receipts])
    assert made == [published[:2], published[2:]]
    assert await is_routed(url)


async def test_an_organization_that_is_deleted_before_the_fan_out_gets_nothing(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str
) -> None:
    """And nothing is left in the outbox."""
    await node._open.outbox.close()
    await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
    await node.delete_organization(ACME, START, new_entry())
    async with direct(url) as looking, looking.transaction():
        made = await outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader()).fan_out(Db(looking))
    assert made is not None
    assert (made.leased, made.waiting) == ((), frozenset())
    assert await is_routed(url)


async def test_retention_keeps_what_was_not_fanned_out(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str
) -> None:
    """However old it is."""
    await node._open.outbox.close()
    await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
    await caller.execute("UPDATE packhook.events SET created_at = 1")
    before = {"events_before": START, "keys_before": 0, "audit_before": 0, "now": START, "limit": 10}
    assert (await node.apply_retention(**before)).events == 0
    assert not await is_routed(url)


async def test_it_rolls_back_with_the_caller(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """A rolled back order has no event."""
    transaction = caller.transaction()
    await transaction.start()
    await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key")
    await transaction.rollback()
    assert await events_of(node) == ()
    assert await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key")


async def test_an_idempotency_key_publishes_once(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """The same again is the same event; another event under it is refused."""
    first, again = [await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key") for _ in range(2)]
    assert first == again
    with pytest.raises(asyncpg.UniqueViolationError, match="another event before"):
        await caller.fetchval(PUBLISH, ACME, "order.created", '{"id": "ord_2"}', "key")
    assert len(await events_of(node)) == 1


async def test_an_idempotency_key_compares_what_an_event_means(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """As over the API: how it is written does not count. What PostgreSQL cannot read is compared by its bytes."""
    said: tuple[tuple[str, str, str, bool], ...] = (
        ("order", '{"id": "ord_1", "n": [1.0, 1e2]}', '{"n":[1,100],"id":"\\u006frd_1"}', True),
        ("list", '{"id": "ord_1", "n": [1, 2]}', '{"id": "ord_1", "n": [2, 1]}', False),
        ("kind", '{"id": "ord_1", "n": 1}', '{"id": "ord_1", "n": "1"}', False),
    )
    for key, one, other, is_same in said:
        first = await caller.fetchval(PUBLISH, ACME, "order.created", one, key)
        assert await caller.fetchval(PUBLISH, ACME, "order.created", one, key) == first
        if is_same:
            assert await caller.fetchval(PUBLISH, ACME, "order.created", other, key) == first
        else:
            with pytest.raises(asyncpg.UniqueViolationError):
                await caller.fetchval(PUBLISH, ACME, "order.created", other, key)
        with pytest.raises(asyncpg.UniqueViolationError):
            await caller.fetchval(PUBLISH, ACME, "order.shipped", one, key)
    assert len(await events_of(node)) == len(said)
    assert await caller.fetchval("SELECT packhook.meaning($1)", b'{"n": "\\u0000"}') is None


async def test_a_key_counts_in_sql_and_over_the_api(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """Whichever was first: the same event is published once, another one is a conflict."""
    same, other = b'{"n":1.0,"id":"ord_1"}', b'{"n":2,"id":"ord_1"}'

    async def over_the_api(data: bytes, key: str) -> str:
        fingerprint = sha256(b"publish_event\0order.created\0" + meaning_of(data)).digest()
        idempotency = Idempotency(key=key, fingerprint=fingerprint, stale_before=0)
        request = PublishRequest(
            organization_id=ACME, events=(event(data=data, created_at=SystemClock().now()),), idempotency=idempotency
        )
        return (await node.publish(request))[0].id

    in_sql = await caller.fetchval(PUBLISH, ACME, "order.created", '{"id": "ord_1", "n": 1}', "sql")
    assert await over_the_api(same, "sql") == in_sql
    with pytest.raises(Conflict):
        await over_the_api(other, "sql")
    first = await over_the_api(same, "api")
    assert await caller.fetchval(PUBLISH, ACME, "order.created", '{"id": "ord_1", "n": 1}', "api") == first
    with pytest.raises(asyncpg.UniqueViolationError):
        await caller.fetchval(PUBLISH, ACME, "order.created", other.decode(), "api")
    assert len(await events_of(node)) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("unknown", "order.created", ORDER, None), "no organization 'unknown'"),
        ((None, "order.created", ORDER, None), "no organization NULL"),
        ((ACME, "orders.created", ORDER, None), "expected order.canceled, order.created or order.shipped"),
        ((ACME, "webhook.failing", ORDER, None), "expected order.canceled, order.created or order.shipped"),
        ((ACME, None, ORDER, None), "got NULL"),
        ((ACME, "order.created", "[]", None), "data is a JSON object"),
        ((ACME, "order.created", None, None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": 1}', None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": ""}', None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": "1", "x": "' + "." * 262_144 + '"}', None), "may have 262144 bytes"),
        ((ACME, "order.created", ORDER, "with space"), "visible ASCII"),
    ],
)
async def test_an_invalid_call_is_an_error_and_writes_nothing(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", values: tuple[object, ...], words: str
) -> None:
    """The statement fails, so that the caller's transaction cannot continue by mistake."""
    with pytest.raises(asyncpg.PostgresError, match=words):
        await caller.fetchval(PUBLISH, *values)
    assert await events_of(node) == ()


async def test_ids_sort_by_time(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """Beside those that nodes make."""
    made = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(20)]
    assert [item[:16] for item in made] == sorted(item[:16] for item in made)
    assert len(set(made)) == 20
    assert len(await events_of(node)) == 20


async def test_the_documented_sql_does_what_it_says(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """As it stands on the page: the grants for a role of the platform's, then an order and its event."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "publish-in-your-transaction.md"
    _, grants, order, *_ = re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    role = f"shop_{uuid4().hex}"
    await caller.execute("CREATE TABLE public.orders (id text, reference text, status text)")
    await caller.execute(f"CREATE ROLE {role}; GRANT INSERT ON public.orders TO {role}; {grants.replace('shop', role)}")
    await caller.execute(f"SET search_path = public; SET ROLE {role}")
    await caller.execute(order)
    await caller.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    (event,) = await events_of(node)
    assert event.data == b'{"id": "ord_1", "reference": "A-1", "status": "created"}'


REFUSE_DELIVERIES = """CREATE FUNCTION refuse_delivery() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'this delivery is refused' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER refused BEFORE INSERT ON packhook.deliveries FOR EACH ROW WHEN (new.event_id = '{id}')
EXECUTE FUNCTION refuse_delivery()"""


async def test_an_event_that_can_never_be_fanned_out_is_given_up_alone(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """The others of the same batch get their deliveries; it stays in the outbox, marked, and the log says why."""
    with capture_logs() as logs:
        async with caller.transaction():
            ids = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(9)]
            await caller.execute(REFUSE_DELIVERIES.format(id=ids[4]))
        for event_id in ids[:4] + ids[5:]:
            assert len(await deliveries_of(node, event_id)) == 1

        async def refused() -> bool:
            return any(line["event"] == "outbox_event_refused" for line in logs)

        await eventually(refused)
    (said,) = [line for line in logs if line["event"] == "outbox_event_refused"]
    assert (said["event_id"], said["organization_id"], said["count"]) == (ids[4], ACME, 1)
    assert "this delivery is refused" in said["detail"]
    (left,) = await caller.fetch("SELECT event_id, refused_at, reason FROM packhook.outbox")
    assert (left["event_id"], left["refused_at"]) == (ids[4], START)
    assert "this delivery is refused" in left["reason"]
    _, deliveries = await node.get_event(ACME, ids[4])
    assert deliveries == ()


async def test_an_event_that_was_given_up_is_tried_again_when_its_mark_is_removed(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """As the page says; and retention deletes one that was not."""
    await caller.execute("UPDATE packhook.outbox SET refused_at = NULL")
    await node._open.outbox.close()
    first, second = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(2)]
    await caller.execute("UPDATE packhook.outbox SET refused_at = 1, reason = 'x'")
    turns = outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader())
    async with caller.transaction():
        assert await turns.fan_out(Db(caller)) is None
    await caller.execute("UPDATE packhook.outbox SET refused_at = NULL WHERE event_id = $1", first)
    async with caller.transaction():
        made = await turns.fan_out(Db(caller))
    assert made is not None
    assert [receipt.id for receipt in made.receipts] == [first]
    await caller.execute("UPDATE packhook.events SET created_at = 1 WHERE id = $1", second)
    before = {"events_before": START, "keys_before": 0, "audit_before": 0, "now": START, "limit": 10}
    assert (await node.apply_retention(**before)).events == 1
    assert await caller.fetchval("SELECT count(*) FROM packhook.outbox") == 0


async def test_many_events_of_one_organization_do_not_stand_before_another_s(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Organizations are served in turn, also where a batch is full before it has reached all of them."""
    await node._open.outbox.close()
    names = [f"org_{number}" for number in range(4)]
    for name in names:
        await node.create_organization(organization(name), new_entry())
    many = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(10)]
    late = [await caller.fetchval(PUBLISH, name, "order.shipped", ORDER, None) for name in names]
    turns = outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader())
    turns.at_most = 3
    monkeypatch.setattr(outbox, "MAX_ORGANIZATIONS", 3)
    batches = []
    while not await is_routed_by(caller):
        async with caller.transaction():
            made = await turns.fan_out(Db(caller))
        assert made is not None
        batches.append([receipt.id for receipt in made.receipts])
    assert set(late) <= {event_id for batch in batches[:2] for event_id in batch}
    served = [event_id for batch in batches for event_id in batch]
    assert sorted(served) == sorted(many + late)
    assert [event_id for event_id in served if event_id in many] == many


async def is_routed_by(connection: "asyncpg.Connection[Any]") -> bool:
    """Return whether the outbox is empty, on this connection."""
    return int(await connection.fetchval("SELECT count(*) FROM packhook.outbox")) == 0


async def test_large_events_are_read_a_few_at_a_time(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has a bounded number of bytes, and at least one event."""
    await node._open.outbox.close()
    large = '{"id": "ord_1", "note": "' + "x" * 100_000 + '"}'
    for _ in range(3):
        await caller.fetchval(PUBLISH, ACME, "order.shipped", large, None)
    turns = outbox.OutboxTurns(lambda: NO_CAPACITY, SubscriberLoader())
    counts = []
    for most in (1, 150_000):
        monkeypatch.setattr(outbox, "BATCH_BYTES", most)
        async with caller.transaction():
            made = await turns.fan_out(Db(caller))
        assert made is not None
        counts.append(len(made.receipts))
    assert counts == [1, 2]


async def test_a_long_lock_on_events_only_delays(
    url: str, node: PostgresStore, caller: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the outbox gives up waiting for the lock, no event is given up, and the poll tries again."""
    monkeypatch.setattr("packhook.store.outbox.POLL_SECONDS", 0.05)
    monkeypatch.setitem(cast("dict[str, str]", connection.SETTINGS), "lock_timeout", "50ms")
    await node._open.outbox.close()
    event_id = await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None)
    await caller.execute("BEGIN; LOCK TABLE packhook.events IN ACCESS EXCLUSIVE MODE")
    impatient = PostgresStore(url, ManualClock())
    with capture_logs() as logs:
        await impatient.open()
        impatient._wake_outbox()

        async def has_given_up_waiting() -> bool:
            return len([line for line in logs if line["event"] == "outbox_failed"]) > 1

        await eventually(has_given_up_waiting)
    await caller.execute("ROLLBACK")
    assert len(await deliveries_of(node, event_id)) == 1
    await impatient.close()
    said = [line for line in logs if line["event"].startswith("outbox")]
    assert {line["event"] for line in said} == {"outbox_failed"}
    assert all("lock timeout" in line["detail"] for line in said)


async def test_filters_decide_about_events_from_sql_as_about_others(
    node: PostgresStore, caller: "asyncpg.Connection[Any]"
) -> None:
    """By codes, patterns, subject and data; a filter without a value is reported as for the others."""
    settings = (
        {"filter": "data.total > 9.0 && event.subject == 'ord_1'"},
        {"filter": "data.total > 10.0"},
        {"filter": "data.zzz == 1"},
        {"event_code": "order.shipped", "event_codes": ("order.*",), "filter": "data.note.startsWith('Zürich')"},
        {"event_code": "order.shipped", "event_codes": ("*",), "filter": "event.type == 'order.shipped'"},
    )
    hooks = [await add_webhook(node, **changes) for changes in settings]
    event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
    got = {webhook_id for webhook_id, _ in await deliveries_of(node, event_id)}
    event, _ = await node.get_event(ACME, event_id)
    assert [hook.id in got for hook in hooks] == [matches(subscription_of(hook), event).matches for hook in hooks]
    assert [hook.id in got for hook in hooks] == [True, False, True, True, False]

    async def reported() -> bool:
        return await node.filter_errors.of_webhook(ACME, hooks[2].id) is not None

    await eventually(reported)
