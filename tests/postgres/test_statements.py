"""Test query plans: by index, at the same cost whatever the backlog of others, few statements for many rows."""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from packhook.core.clock import HOUR
from packhook.core.model import DeliveryStatus
from packhook.store.base import ClaimRequest, DeliveryFilter, PageRequest
from packhook.store.postgres import claim as claiming
from packhook.store.postgres import history, overview
from packhook.store.postgres.connection import READ_ONLY
from packhook.store.postgres.queries import SQL, Db
from packhook.store.postgres.store import PostgresStore
from packhook.store.rows import Row
from packhook.testing.clock import START
from postgres.conftest import OpenNode
from postgres.log import Log
from postgres.server import Server, direct
from store.values import (
    ACME,
    LEASE,
    OTHER,
    FakeDispatcher,
    add_webhook,
    ask,
    capacity,
    claim,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    publication,
    publish,
)

LATER = START + 1_000
DOUBLE, ESCAPED = '"', '\\"'
ONE_EVENT: tuple[Any, ...] = (
    *([ACME], [0]),
    *([ACME], ["k"], [b"f"], [b"r"], [START], 0),
    *(["e"], [ACME], ["order.created"], [b"{}"], [START], ["ord_1"], ["A-1"], [""], [""], [""], ["k"]),
    *([ACME], ["d"], ["w"], ["e"], ["order.created"], ["pending"], [START], [0], [START], ["k"]),
)
"""For insert_published: with a key, for one webhook."""
PLANNED: dict[str, tuple[Any, ...]] = {
    "claim_deliveries": (["w"], [5], START, 1, START + LEASE),
    "next_due_in_lane": (["w"],),
    "due_lanes": (START, 500, [], True, []),
    "next_due_lanes": ([], []),
    "list_subscriptions": ([ACME],),
    "insert_published": ONE_EVENT,
    "list_unrouted": ("", 100, 1_000_000, 50),
    "set_subjects": ([ACME], ["e"], ["ord_1"], ["A-1"], [""], [""]),
    "delete_routed": (["e"],),
    "release_delivery": (START, [ACME], ["d"], [1]),
    "expired_events": (0, "", 100),
    "lock_deliveries": (["e"], 100),
    "delete_expired_idempotency_keys": (START, 100),
    "delete_expired_audit_entries": (START, 100),
    "cancel_orphans": (START, 100),
    "cancel_expired": (START, START, 100, True),
    "find_idempotency_key": ([ACME], ["k"]),
    "find_events": ([ACME], ["e"]),
    "find_events_by_subject": (ACME, "ord_1", 5),
    "find_events_by_reference": (ACME, "A-1", 5),
    "summarize_attempts": (ACME, ["d"], 5),
    "find_interruptions": (ACME, ["d"], 5),
    "find_attempts": (["d"], [1], [START]),
    "get_webhook_states": (["w"],),
    "event_deliveries": ("e", ACME),
    "delivery_attempts": ("d",),
    "get_backlog": ("w", 100),
    "sum_statistics": ([5], [START], [START], "w", "w"),
    "roll_up_statistics": (START, 100),
    "delete_expired_statistics": (START, 100),
    "delete_statistics": ([5], [START], "w"),
    "scan_failed_deliveries": ("w", "dlv_g", "dlv_0", 10),
    "scan_delivered_deliveries": ("w", "dlv_g", "dlv_0", 10),
    "scan_events": ("w", "evt_g", "evt_0", 10, ACME),
    "scan_events_of_subject": ("w", "evt_g", "evt_0", 10, ACME, "ord_1"),
    "count_unfinished_replays": (ACME,),
    "next_due_replay": (START,),
    "next_replay_chunk": ("r", 5),
    "delete_replay_chunks": ("r", 1),
    "list_chunk_events": (["e"], ACME, "w"),
    "retry_deliveries": (START, ACME, ["d"]),
    "examine_replay_deliveries": (ACME, "r", -1, 10),
    "count_waiting_replays": ("w", START, 10),
    "cancel_replays": (START, ["w"]),
    "delete_finished_replays": (START, 10),
    "list_orphan_chunks": (START,),
}


async def plan_of(connection: "asyncpg.Connection[Any]", name: str, *values: object) -> dict[str, Any]:
    """Execute a statement of this name with a generic plan, as a node does, and return the plan with page counts."""
    return await generic_plan(connection, SQL[name], *values)


async def generic_plan(
    connection: "asyncpg.Connection[Any] | PoolConnectionProxy[Any]", statement: str, *values: object
) -> dict[str, Any]:
    """Execute a statement with a generic plan, roll back, and return the plan with page counts."""
    transaction = connection.transaction()
    await transaction.start()
    arguments = ", ".join(map(literal, values))
    try:
        await connection.execute(f"PREPARE tested AS {statement}")
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE tested{f' ({arguments})' if arguments else ''}"
        )
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE tested")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def literal(value: object) -> str:
    """Return a value as an SQL literal; a list takes the expected type."""
    if isinstance(value, list):
        return f"'{{{', '.join(map(_element, value))}}}'"
    if isinstance(value, str):
        return f"'{value}'"
    return "NULL" if value is None else str(value)


def _element(value: object) -> str:
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return f'"{value.replace(DOUBLE, ESCAPED)}"' if isinstance(value, str) else literal(value)


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every step of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps(inner)


@pytest.mark.parametrize("name", PLANNED)
async def test_no_statement_scans_a_table(node: PostgresStore, url: str, name: str) -> None:
    """Events, deliveries, attempts, keys and lanes are found by an index, also where the planner knows nothing yet."""
    await add_webhook(node)
    await publish(node, 20)
    await claim(node, START)
    async with direct(url) as connection:
        plan = await plan_of(connection, name, *PLANNED[name])
    walked = {step.get("Relation Name") for step in steps(plan) if step["Node Type"] == "Seq Scan"}
    assert walked == set()


def pages(plan: dict[str, Any]) -> int:
    """Return the number of pages that a statement read."""
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


async def _cost_of_a_claim(url: str, mine: str) -> int:
    """Add up the pages that each statement of a claim of five deliveries for one webhook reads."""
    async with direct(url) as connection:
        return sum(
            [
                pages(await plan_of(connection, "due_lanes", LATER, 500, [], True, [])),
                pages(await plan_of(connection, "claim_deliveries", [mine], [5], LATER, 1, LATER + LEASE)),
                pages(await plan_of(connection, "next_due_in_lane", [mine])),
            ]
        )


async def _disabled(node: PostgresStore, dead: str) -> None:
    stored = await node.get_webhook(OTHER, dead)
    await node.replace_webhook(next_version(stored, enabled=False), new_entry())
    await claim(node, START)


async def _waiting_for_retries(node: PostgresStore, dead: str) -> None:  # noqa: ARG001 one of several
    while leased := (await ask(node, START, per_lane=500)).deliveries:
        await node.record([failed(item, START, next_attempt_at=START + HOUR) for item in leased])


async def _pages_with(url: str, node: PostgresStore, backlog: int, state: "State") -> int:
    dead = await add_webhook(node, OTHER)
    for start in range(0, backlog, 500):
        await node.publish(publication(*(event(OTHER) for _ in range(min(500, backlog - start)))))
    await state(node, dead.id)
    mine = await add_webhook(node)
    await publish(node, 5, created_at=START)
    async with direct(url) as connection:
        await connection.execute(SQL["merge_lane_wakeups"])
        await connection.execute("VACUUM ANALYZE")
    return await _cost_of_a_claim(url, mine.id)


State = Callable[[PostgresStore, str], Awaitable[None]]


@pytest.mark.parametrize("state", [_disabled, _waiting_for_retries], ids=["disabled", "retries"])
async def test_a_claim_costs_the_same_whatever_waits_for_others(url: str, node: PostgresStore, state: State) -> None:
    """A thousand deliveries wait for a dead webhook, or five thousand more: its trees may be a page higher, no more."""
    few = await _pages_with(url, node, 1_000, state)
    many = await _pages_with(url, node, 5_000, state)
    assert 10 < few < 200
    assert many <= 1.5 * few


async def test_a_claim_goes_by_index_to_the_deliveries_of_its_lane(node: PostgresStore, url: str) -> None:
    """By webhook, urgency and time, three times over, and none of them reads what is not due."""
    hook = await add_webhook(node)
    await publish(node, 3)
    async with direct(url) as connection:
        plan = await plan_of(connection, "claim_deliveries", [hook.id], [2], START, 1, START + LEASE)
    found = [step for step in steps(plan) if step.get("Index Name") == "deliveries_live"]
    assert len(found) == 3
    for step in found:
        assert "claimable_at <=" in step["Index Cond"]
        assert "urgency =" in step["Index Cond"]
        assert step["Actual Rows"] <= 2


async def test_retention_reads_of_what_waits_only_what_is_past_it(node: PostgresStore, url: str) -> None:
    """A paused webhook may have millions of deliveries that wait: the young ones are not looked at."""
    hook = await add_webhook(node)
    await publish(node, 3, created_at=START)
    await publish(node, 1_000, created_at=START + HOUR)
    await node.replace_webhook(next_version(hook, paused=True), new_entry())
    async with direct(url) as connection:
        await connection.execute(SQL["merge_lane_wakeups"])
        await connection.execute("VACUUM ANALYZE")
        plan = await plan_of(connection, "cancel_expired", START + HOUR, START + 1, 500, False)
    read = [step["Actual Rows"] for step in steps(plan) if step.get("Index Name", "").startswith("deliveries_")]
    assert (plan["Actual Rows"], read) == (3, [3, 1])


async def test_the_owner_of_a_delivery_is_found_by_its_id(node: PostgresStore, url: str) -> None:
    """No organization is named, and the primary key begins with one."""
    await add_webhook(node)
    await publish(node, 3)
    async with direct(url) as connection:
        plan = await plan_of(connection, "find_owner_of_delivery", "dlv_none")
    assert "deliveries_by_id" in {step.get("Index Name") for step in steps(plan)}


async def test_a_claim_reads_only_what_it_claims_without_table_statistics(url: str, node: PostgresStore) -> None:
    """An organization has thousands of deliveries that are not in the statistics yet; a claim reads few of them."""
    async with direct(url) as connection:
        await connection.execute("ALTER TABLE deliveries SET (autovacuum_enabled = off)")
        hooks = [(await add_webhook(node)).id for _ in range(50)]
        for _ in range(4):
            await publish(node, 40)
        shares = [10] * len(hooks)
        plan = await plan_of(connection, "claim_deliveries", hooks, shares, LATER, 1, LATER + LEASE)
    assert plan["Actual Rows"] == sum(shares)
    assert sum(shares) < pages(plan) < 40 * sum(shares)


async def test_settling_is_not_dearer_for_what_else_is_under_way(url: str, node: PostgresStore) -> None:
    """Each is found by its own key, with a thousand of the same lease beside it, known to the planner or not."""
    node.attach(dispatcher := FakeDispatcher(slots=1_000))
    await add_webhook(node)
    await publish(node, 1_000)
    mine = [(item.organization_id, item.id, item.lease) for item in dispatcher.enqueued[:5]]
    outcome = ("delivered", None, 1, 1, START, 1, "", "{}", 200, "[]", b"", "", "", "delivered", 1)
    settled = [[*item, *outcome] for item in mine]
    async with direct(url) as connection:
        for statement in ("SELECT 1", "ANALYZE"):
            await connection.execute(statement)
            values = *map(list, zip(*settled, strict=True)), "node:", True, []
            plan = await plan_of(connection, "settle_delivery", *values)
            found = [step for step in steps(plan) if step.get("Index Name", "").startswith("deliveries")]
            assert plan["Actual Rows"] == len(mine)
            assert [(step["Index Name"], step["Actual Loops"], step["Actual Rows"]) for step in found] == [
                ("deliveries_pkey", len(mine), 1)
            ]


async def test_loading_subscribers_reads_no_other_organizations_webhooks(url: str, node: PostgresStore) -> None:
    """This holds before the planner knows that there are many organizations."""
    async with direct(url) as connection:
        await connection.execute("ALTER TABLE webhooks SET (autovacuum_enabled = off)")
        for _ in range(50):
            await add_webhook(node, OTHER)
        mine = await add_webhook(node)
        plan = await plan_of(connection, "list_subscriptions", *PLANNED["list_subscriptions"])
    read = [step for step in steps(plan) if step.get("Relation Name") == "webhooks"]
    assert mine.id
    assert [(step["Actual Rows"], step.get("Rows Removed by Filter", 0)) for step in read] == [(1, 0)]


class PlannedDb(Db):
    """Keep the generic plan of each statement that is executed."""

    plan: dict[str, Any]

    async def fetch_all(self, statement: str, *values: object) -> list[Row]:
        """Return all rows, and keep the plan."""
        self.plan = await generic_plan(self._connection, statement, *values)
        return await super().fetch_all(statement, *values)

    @property
    def read(self) -> list[tuple[str, int]]:
        """Return each index by which deliveries were read, and how many rows of it."""
        return [
            (step["Index Name"], step["Actual Rows"] + step.get("Rows Removed by Filter", 0))
            for step in steps(self.plan)
            if step.get("Relation Name") == "deliveries"
        ]


SPREAD = """
UPDATE deliveries SET claimable_at = NULL,
  status = (ARRAY['exhausted', 'canceled', 'delivered'])[1 + abs(hashtext(id)) % 3]
"""
LISTED: dict[str, DeliveryFilter] = {
    "deliveries_by_id": DeliveryFilter(since=START, until=LATER),
    "deliveries_exhausted_by_id": DeliveryFilter(status=DeliveryStatus.EXHAUSTED),
    "deliveries_canceled_by_id": DeliveryFilter(status=DeliveryStatus.CANCELED),
    "deliveries_pending_by_id": DeliveryFilter(status=DeliveryStatus.PENDING, until=LATER),
    "deliveries_of_webhook": DeliveryFilter(webhook_id="w"),
}


@pytest.mark.parametrize(
    ("statement", "mode"), [("SELECT 1", "force_generic_plan"), ("VACUUM ANALYZE", "force_custom_plan")]
)
async def test_a_list_reads_what_it_lists(url: str, node: PostgresStore, statement: str, mode: str) -> None:
    """An organization reads none of another's thousand deliveries, the operator as many as asked for."""
    hook = await add_webhook(node)
    await publish(node, 1_000)
    page = PageRequest(limit=25)
    async with direct(url) as owner:
        await owner.execute(SPREAD)
        await owner.execute(statement)
    async with direct(url, {**READ_ONLY, "plan_cache_mode": mode}) as connection:
        db = PlannedDb(connection)
        for index, where in (
            ("deliveries_pkey", DeliveryFilter()),
            ("deliveries_exhausted", DeliveryFilter(status=DeliveryStatus.EXHAUSTED)),
            ("deliveries_canceled", DeliveryFilter(status=DeliveryStatus.CANCELED)),
            ("deliveries_of_webhook", DeliveryFilter(webhook_id="w")),
        ):
            await history.list_deliveries(db, OTHER, page, where)
            assert db.read == [(index, 0)]
        for status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING):
            await history.list_deliveries(db, ACME, page, DeliveryFilter(webhook_id=hook.id, status=status))
            assert [rows for _, rows in db.read] == [0]
        await history.list_deliveries(db, ACME, page, DeliveryFilter(webhook_id=hook.id, event_code="order.shipped"))
        assert [rows for _, rows in db.read] == [0]
        failed_ones = DeliveryFilter(webhook_id=hook.id, status=DeliveryStatus.EXHAUSTED, until=LATER)
        await history.list_deliveries(db, ACME, page, failed_ones)
        assert db.read == [("deliveries_exhausted_of_webhook", 26)]
        first = await overview.list_deliveries(db, page, DeliveryFilter())
        assert db.read == [("deliveries_by_id", 26)]
        after = PageRequest(limit=25, anchor=first.items[-1].id)
        await overview.list_deliveries(db, after, DeliveryFilter(webhook_id=hook.id))
        assert db.read == [("deliveries_of_webhook", 26)]
        for index, where in LISTED.items():
            await overview.list_deliveries(db, after, where)
            ((found, rows),) = db.read
            assert found == index
            assert rows <= 26
            assert not [step for step in steps(db.plan) if "Sort" in step["Node Type"]]
        await overview.list_deliveries(db, page, DeliveryFilter(status=DeliveryStatus.SENDING))
        ((found, rows),) = db.read
        assert found.startswith(("deliveries_live", "deliveries_leased"))
        assert rows == 0


async def test_many_deliveries_take_few_round_trips(
    server: Server, url: str, node: PostgresStore, open_node: OpenNode
) -> None:
    """From publish to settlement, for 500 events with two deliveries each: far less than one a row."""
    async with direct(url) as owner:
        await owner.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET log_statement = 'all'")
    log = Log(server.log, url)
    for _ in range(2):
        await add_webhook(node)
    node = await open_node()
    await _round_trips(log, node, 4)  # what is asked once for each connection
    published, claimed, recorded = await _round_trips(log, node, 500)
    assert 1 <= published <= 3
    assert 0 < claimed <= 10  # with the hint to others
    assert 1 <= recorded <= 4  # a look at the other nodes may fall into it


async def _round_trips(log: Log, node: PostgresStore, count: int) -> tuple[int, int, int]:
    """Count the statements of publishing ``count`` events, claiming those not leased directly, and recording all."""
    node.attach(dispatcher := FakeDispatcher(slots=count))
    await node._open.liveness.close()
    await node._open.outbox.close()  # its polls are not part of an event
    marks = [log.count()]
    await node.publish(publication(*(event() for _ in range(count))))
    marks.append(log.count())
    claimed = (await ask(node, START)).deliveries
    marks.append(log.count())
    settled = await node.record([delivered(item, START) for item in (*dispatcher.enqueued, *claimed)])
    marks.append(log.count())
    assert settled == [True] * 2 * count
    publishing, claiming_it, recording = (after - before for before, after in itertools.pairwise(marks))
    return publishing, claiming_it, recording


async def test_a_claim_that_is_rolled_back_holds_nothing(node: PostgresStore, url: str) -> None:
    """A claim that another one interrupts is undone as a whole: what it leased is due as before."""
    await add_webhook(node)
    await publish(node, 3)
    await ask(node, START, slots=0)
    async with direct(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        request = ClaimRequest(now=START, capacity=capacity(START + LEASE), per_lane=10)
        assert len((await claiming.claim(Db(connection), request)).deliveries) == 3
        passed_over = await ask(node, START)
        assert (passed_over.deliveries, passed_over.next_due_at) == ((), START + claiming.BUSY_RETRY)
        await transaction.rollback()
    assert len(await claim(node, START)) == 3
