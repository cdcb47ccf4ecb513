"""Test the SQL files: one statement each, with its purpose, used, and fast whatever the backlog of others."""

import asyncio
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import apsw
import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.errors import RequestError
from packhook.core.model import DeliveryStatus, Idempotency, LeasedDelivery
from packhook.store.base import (
    AuditFilter,
    ClaimRequest,
    ClaimResult,
    DeliveryFilter,
    PageRequest,
    WebhookFilter,
)
from packhook.store.fan_out import SubscriberCache
from packhook.store.sqlite import audit, claim, health, history, organizations, publish, record, statistics, webhooks
from packhook.store.sqlite.connection import Connection, connect, migrate
from packhook.store.sqlite.decisions import Decisions
from packhook.store.sqlite.retention import RetentionCursor
from packhook.store.statements import load
from packhook.store.statistics import FactsFilter
from packhook.store.timeline import EventFilter
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    capacity,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    organization,
    publication,
    webhook,
)

STORE = Path(str(files("packhook.store")))
STATEMENTS = sorted((STORE / "queries").glob("*/*.sql"))
NAMES = [f"{file.parent.name}/{file.stem}" for file in STATEMENTS]
AT_ONCE = 250
"""Of so many events in one call the deliveries are written with it."""


@pytest.mark.parametrize("file", STATEMENTS, ids=NAMES)
def test_a_statement_says_what_it_is_for(file: Path) -> None:
    """In a sentence on its first line; then comes the statement, which has no comments in it."""
    lines = file.read_text("utf-8").splitlines()
    assert re.fullmatch(r"-- [A-Za-z].*[.]", lines[0]), lines[0]
    purpose = [number for number, line in enumerate(lines) if line.startswith("--")]
    assert purpose == list(range(len(purpose)))
    assert "--" not in load(file.parent.name)[file.stem]


@pytest.mark.parametrize("file", STATEMENTS, ids=NAMES)
def test_a_file_holds_one_statement(file: Path) -> None:
    """No second one after a semicolon."""
    statement = load(file.parent.name)[file.stem]
    assert statement
    assert ";" not in statement


@pytest.mark.parametrize("dialect", sorted({file.parent.name for file in STATEMENTS}))
def test_every_statement_is_used_and_every_used_one_is_there(dialect: str) -> None:
    """By a module of its dialect."""
    modules = "\n".join(module.read_text("utf-8") for module in (STORE / dialect).rglob("*.py"))
    assert {name for name in load(dialect) if f'"{name}"' not in modules} == set()
    assert set(re.findall(r'SQL\["(\w+)"\]', modules)) <= set(load(dialect))


def new_database(path: Path) -> Connection:
    """Return a connection to a migrated SQLite file with two organizations, not durable."""
    db = connect(str(path))
    db.execute("PRAGMA synchronous = OFF")
    migrate(db)
    for name in (ACME, OTHER):
        organizations.create_organization(db, organization(name), new_entry())
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    """Yield a connection to a database."""
    opened = new_database(tmp_path / "packhook.db")
    yield opened
    opened.close()


def add_webhook(db: Connection, name: str = ACME, **changes: Any) -> str:  # noqa: ANN401 a field has its own type
    """Store a webhook and return its id."""
    stored = webhook(name, **changes)
    webhooks.create_webhook(db, stored, new_entry())
    return stored.id


def add_events(db: Connection, count: int, name: str = ACME) -> None:
    """Store events whose deliveries are not leased."""
    for _ in range(0, count, AT_ONCE):
        batch = publication(*(event(name) for _ in range(min(count, AT_ONCE))))
        (answer,) = asyncio.run(
            publish.publish(db, [batch], lambda: capacity(0, slots=0), SubscriberCache(), Decisions())
        )
        assert not isinstance(answer, RequestError)


def claim_now(db: Connection, **offered: Any) -> ClaimResult:  # noqa: ANN401 as above
    """Claim at the start time."""
    request = ClaimRequest(now=START, capacity=capacity(START + LEASE, **offered), per_lane=100)
    return asyncio.run(claim.claim(db, request))


def all_operations(db: Connection) -> None:
    """Execute every operation of a store, but for opening and keys."""
    first, second = add_webhook(db), add_webhook(db, OTHER)
    again = publication(event(), idempotency=Idempotency(key="k", fingerprint=b"f" * 32, stale_before=0))
    for _ in range(2):
        asyncio.run(
            publish.publish(db, [again], lambda: capacity(START + LEASE, slots=1), SubscriberCache(), Decisions())
        )
    add_events(db, 4)
    leased = claim_now(db).deliveries
    asyncio.run(record.record(db, [[delivered(leased[0], START)]]))
    asyncio.run(record.record(db, [[failed(leased[1], START, next_attempt_at=START + 1, hold_until=START + 1)]]))
    asyncio.run(record.record(db, [[failed(leased[2], START, disable_reason="gone")]]))
    claim.release(db, leased[3:], START, frozenset())
    history.retry_delivery(db, ACME, leased[0].id, START, new_entry())
    claim_now(db)
    read_back(db, leased[0], first)
    webhooks.delete_webhook(db, OTHER, second, START, new_entry())
    webhooks.release_unverified(db, START)
    for now in (START, START + DAY):
        RetentionCursor().apply(db, events_before=START, keys_before=START, audit_before=START, now=now, limit=10)
    webhooks.disable_failing(db, START, START, "failed")
    claim.release_all(db, START)


FOUND = {
    "subject": (EventFilter(subject="ord_1"), {"events_by_subject (organization_id=? AND subject=? AND id<?)"}),
    "subject and event code": (
        EventFilter(subject="ord_1", event_code="order.created"),
        {"events_by_subject (organization_id=? AND subject=? AND id<?)"},
    ),
    "reference": (
        EventFilter(reference="A-1", subject="ord_1", event_code="order.created"),
        {f"events_by_reference_{place} (organization_id=? AND reference_{place}=? AND id<?)" for place in (1, 2, 3)}
        | {"events_of_organization (organization_id=? AND id=?)"},
    ),
    "event code": (
        EventFilter(event_code="order.created"),
        {"events_by_event_code (organization_id=? AND event_code=? AND id<?)"},
    ),
    "until": (EventFilter(until=START), {"events_of_organization (organization_id=? AND id<?)"}),
}


def read_back(db: Connection, leased: LeasedDelivery, webhook_id: str) -> None:
    """Read the history by every filter."""
    history.get_event(db, ACME, leased.event_id)
    history.get_delivery(db, ACME, leased.id)
    for found in (EventFilter(), *(where for where, _ in FOUND.values())):
        history.list_events(db, ACME, ALL, found)
    history.subjects_of(db, ACME, "A-1")
    history.summarize_attempts(db, ACME, [leased.id], 10)
    for where in (
        DeliveryFilter(),
        DeliveryFilter(webhook_id=webhook_id),
        DeliveryFilter(event_id=leased.event_id),
        DeliveryFilter(subject="ord_1"),
        DeliveryFilter(reference="A-1"),
        DeliveryFilter(webhook_id=webhook_id, status=DeliveryStatus.EXHAUSTED, since=START),
        DeliveryFilter(event_code="order.created", status=DeliveryStatus.EXHAUSTED),
        *(DeliveryFilter(status=status) for status in DeliveryStatus),
    ):
        history.list_deliveries(db, ACME, ALL, where)
    webhooks.list_webhooks(db, ACME, ALL, WebhookFilter(enabled=True))
    webhooks.webhook_states(db, [webhook_id])
    health.webhook_health(db, ACME, webhook_id)
    health.list_webhook_health(db, ALL, FactsFilter(failing=True))
    health.backlog(db, webhook_id)
    for counted in (webhook_id, None):
        statistics.attempt_counts(db, counted, (START - DAY,), START)


def statements_of(db: Connection, work: Callable[[Connection], object]) -> dict[str, Any]:
    """Return every statement that ``work`` executes, with its last values."""
    seen: dict[str, Any] = {}

    def note(_: apsw.Cursor, statement: str, values: Any) -> bool:  # noqa: ANN401 a tuple, a mapping or None
        seen[statement] = values
        return True

    db.exec_trace = note
    try:
        work(db)
    finally:
        db.exec_trace = None
    return seen


def plan(db: Connection, statement: str, values: Any) -> list[str]:  # noqa: ANN401 as above
    """Return SQLite's query plan, one line for each step."""
    return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


# Retention reads the oldest events (e) and stops at the first that is young enough; a start reads the live deliveries.
ALLOWED_SCANS = {"SCAN e", "SCAN deliveries USING COVERING INDEX deliveries_leased_directly"}
SCAN = re.compile(r"SCAN (events|deliveries|attempts|idempotency_keys|audit_entries|statistics|e|d|a|s)\b.*")


def test_no_statement_scans_all_events_or_deliveries(db: Connection) -> None:
    """Every statement finds its rows by an index."""
    scans = {
        (step, statement)
        for statement, values in statements_of(db, all_operations).items()
        for step in plan(db, statement, values)
        if SCAN.fullmatch(step) and step not in ALLOWED_SCANS
    }
    assert scans == set()


HOT = {
    "claim_deliveries": "deliveries_live (webhook_id=? AND urgency=? AND claimable_at<?)",
    "next_due_in_lane": "deliveries_live (webhook_id=? AND urgency=? AND claimable_at>?)",
    "due_lanes": "lanes_due (due_at<?)",
    "next_due_lanes": "lanes_due",
    "subscriptions_version": "organizations USING PRIMARY KEY (id=?)",
    "list_subscriptions": "webhooks_of_organization_with_deleted (organization_id=?)",
    "expire_direct_leases": "deliveries_leased_directly (leased_until<?)",
    "next_direct_lease": "deliveries_leased_directly",
    "last_delivery_rowid": "SEARCH deliveries",
    "get_event": "events_of_organization (organization_id=? AND id=?)",
    "get_delivery": "deliveries_of_organization (organization_id=? AND id=?)",
    "settle_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "release_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "lease_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "find_idempotency_key": "PRIMARY KEY (organization_id=? AND key=?)",
    "cancel_expired": "deliveries_pending_of_webhook (webhook_id=? AND id<?)",
    "get_backlog": "deliveries_pending_of_webhook (webhook_id=?)",
    "sum_statistics": "PRIMARY KEY (span=? AND start=? AND source>? AND source<?)",
    "roll_up_statistics": "PRIMARY KEY (span=? AND start<?)",
    "delete_rolled_up_statistics": "PRIMARY KEY (span=? AND start<?)",
    "delete_expired_statistics": "PRIMARY KEY (span=? AND start<?)",
    "delete_statistics": "PRIMARY KEY (span=? AND start=? AND source=?)",
}


def test_the_hot_statements_use_their_indexes(db: Connection) -> None:
    """By the very columns, and nothing is sorted that could be many."""
    values = statements_of(db, all_operations)
    plans = {name: "\n".join(plan(db, load("sqlite")[name], values[load("sqlite")[name]])) for name in HOT}
    assert {name: steps for name, steps in plans.items() if HOT[name] not in steps} == {}


def test_the_hot_statements_are_planned_once(db: Connection) -> None:
    """By default SQLite plans again for each set of values where an ORDER BY or a partial index is involved."""
    values = statements_of(db, all_operations)
    planned: set[str] = set()

    def note(_action: int, _one: str | None, _two: str | None, _database: str | None, _within: str | None) -> int:
        planned.add(name)
        return apsw.SQLITE_OK

    db.authorizer = note  # called only while a statement is planned
    for name in HOT:
        statement = load("sqlite")[name]
        list(db.execute(statement, values[statement]))
        planned.discard(name)
        list(db.execute(statement, values[statement]))
    db.authorizer = None
    assert planned == set()


def plan_of_deliveries(db: Connection, where: DeliveryFilter) -> list[str]:
    """Return SQLite's plan of the page after a cursor."""
    page = PageRequest(limit=5, anchor="dlv_9")
    executed = statements_of(db, lambda db: history.list_deliveries(db, ACME, page, where))
    (steps,) = (plan(db, text, values) for text, values in executed.items() if " deliveries" in text)
    return steps


LISTED = {
    "by organization": (DeliveryFilter(), "deliveries_of_organization (organization_id=? AND id<?)"),
    "delivered": (
        DeliveryFilter(status=DeliveryStatus.DELIVERED),
        "deliveries_of_organization (organization_id=? AND id<?)",
    ),
    "by webhook": (DeliveryFilter(webhook_id="w"), "deliveries_of_webhook (webhook_id=? AND id<?)"),
    "since": (DeliveryFilter(since=START), "deliveries_of_organization (organization_id=? AND id>? AND id<?)"),
    "pending of a webhook": (
        DeliveryFilter(webhook_id="w", status=DeliveryStatus.PENDING),
        "deliveries_pending_of_webhook (webhook_id=? AND id<?)",
    ),
    "of a webhook and an event code": (
        DeliveryFilter(webhook_id="w", event_code="order.created"),
        "(id=?)\nSEARCH deliveries USING INDEX deliveries_of_webhook (webhook_id=? AND id<?)",
    ),
    "by event": (DeliveryFilter(event_id="e"), "deliveries_of_event (event_id=? AND id<?)"),
    "exhausted": (DeliveryFilter(status=DeliveryStatus.EXHAUSTED), "deliveries_exhausted (organization_id=? AND id<?)"),
    "exhausted of a webhook": (
        DeliveryFilter(webhook_id="w", status=DeliveryStatus.EXHAUSTED),
        "deliveries_exhausted_of_webhook (webhook_id=? AND id<?)",
    ),
    "canceled": (DeliveryFilter(status=DeliveryStatus.CANCELED), "deliveries_canceled (organization_id=? AND id<?)"),
    "pending": (
        DeliveryFilter(status=DeliveryStatus.PENDING),
        "deliveries_live_of_organization (organization_id=? AND id<?)",
    ),
}


@pytest.mark.parametrize(("where", "index"), LISTED.values(), ids=LISTED)
def test_a_page_of_deliveries_is_read_in_the_order_of_an_index(
    db: Connection, where: DeliveryFilter, index: str
) -> None:
    """From the cursor on, and nothing is sorted."""
    steps = plan_of_deliveries(db, where)
    assert index in "\n".join(steps)
    assert not any("TEMP B-TREE" in step for step in steps)


def test_a_page_of_events_is_read_in_the_order_of_an_index(db: Connection) -> None:
    """From the cursor on, and nothing is sorted."""
    asked = statements_of(db, lambda db: history.list_events(db, ACME, PageRequest(limit=5, anchor="evt_9")))
    (steps,) = (plan(db, text, values) for text, values in asked.items() if "FROM events" in text)
    assert steps == ["SEARCH events USING INDEX events_of_organization (organization_id=? AND id<?)"]


@pytest.mark.parametrize(("where", "indexes"), FOUND.values(), ids=FOUND)
def test_events_are_found_by_the_narrowest_index(db: Connection, where: EventFilter, indexes: set[str]) -> None:
    """From the cursor on; nothing is sorted but a page of each place of a reference."""
    page = PageRequest(limit=5, anchor="evt_9")
    asked = statements_of(db, lambda db: history.list_events(db, ACME, page, where))
    (steps,) = (plan(db, text, values) for text, values in asked.items() if "FROM events" in text)
    used = {step.partition(" INDEX ")[2] for step in steps if step.startswith("SEARCH events")}
    assert used == indexes
    assert where.reference is not None or not any("TEMP B-TREE" in step for step in steps)


BY_EVENTS = {
    "subject": (DeliveryFilter(subject="ord_1"), "events_by_subject (organization_id=? AND subject=?)"),
    "reference": (DeliveryFilter(reference="A-1"), "events_by_reference_2 (organization_id=? AND reference_2=?)"),
}


@pytest.mark.parametrize(("where", "index"), BY_EVENTS.values(), ids=BY_EVENTS)
def test_deliveries_are_found_by_way_of_their_events(db: Connection, where: DeliveryFilter, index: str) -> None:
    """The events by their index, then a page of the deliveries of each, from the cursor on."""
    page = PageRequest(limit=5, anchor="dlv_9")
    asked = statements_of(db, lambda db: history.list_deliveries(db, ACME, page, where))
    steps = "\n".join(step for text, values in asked.items() for step in plan(db, text, values))
    assert index in steps
    assert "deliveries_of_event (event_id=? AND id<?)" in steps


def test_deliveries_being_sent_are_merged_from_claimed_and_directly_leased_ones(db: Connection) -> None:
    """No finished delivery is read; only the directly leased ones are sorted, which are few."""
    steps = plan_of_deliveries(db, DeliveryFilter(status=DeliveryStatus.SENDING))
    assert [step for step in steps if "deliveries" in step] == [
        "SEARCH deliveries USING INDEX deliveries_live_of_organization (organization_id=? AND id<?)",
        "SEARCH deliveries USING INDEX deliveries_leased_directly (leased_until>?)",
    ]


AUDITED = {
    "all": (AuditFilter(), "PRIMARY KEY (id<?)"),
    "by organization": (
        AuditFilter(organization_id=ACME),
        "audit_entries_of_organization (organization_id=? AND id<?)",
    ),
    "by object": (
        AuditFilter(organization_id=ACME, object_id="w", shown_to_keys=True),
        "audit_entries_of_object (object_id=? AND id<?)",
    ),
}


@pytest.mark.parametrize(("where", "index"), AUDITED.values(), ids=AUDITED)
def test_a_page_of_the_audit_trail_is_read_in_the_order_of_an_index(
    db: Connection, where: AuditFilter, index: str
) -> None:
    """From the cursor on, and nothing is sorted."""
    page = PageRequest(limit=5, anchor="aud_9")
    asked = statements_of(db, lambda db: audit.list_audit(db, page, where))
    (steps,) = (plan(db, text, values) for text, values in asked.items())
    assert index in "\n".join(steps)
    assert not any("TEMP B-TREE" in step for step in steps)


MERGED = {
    "any": (
        DeliveryFilter(event_code="order.created", since=START),
        "deliveries_of_webhook (webhook_id=? AND id>? AND id<?)",
    ),
    "exhausted": (
        DeliveryFilter(event_code="order.created", status=DeliveryStatus.EXHAUSTED),
        "deliveries_exhausted_of_webhook (webhook_id=? AND id<?)",
    ),
    "pending": (
        DeliveryFilter(event_code="order.created", status=DeliveryStatus.PENDING),
        "deliveries_pending_of_webhook (webhook_id=? AND id<?)",
    ),
}


@pytest.mark.parametrize(("where", "index"), MERGED.values(), ids=MERGED)
def test_a_page_of_one_event_code_is_merged_from_the_webhooks_that_may_have_some(
    db: Connection, where: DeliveryFilter, index: str
) -> None:
    """Each by its own index from the cursor on; nothing is sorted but what they found."""
    steps = plan_of_deliveries(db, where)
    found = "\n".join(steps)
    assert "webhooks_of_organization_with_deleted" in found
    assert index in found
    assert "(rowid=?)" in found
    assert sum("TEMP B-TREE" in step for step in steps) == 1


def steps_of(db: Connection, work: Callable[[], object]) -> int:
    """Return the number of virtual machine steps that ``work`` takes."""
    taken = 0

    def note(finished: dict[str, Any]) -> None:
        nonlocal taken
        taken += finished["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    db.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
    try:
        work()
    finally:
        db.trace_v2(0, None)
    return taken


def _disabled(db: Connection, dead: str) -> None:
    stored = webhooks.get_webhook(db, OTHER, dead)
    webhooks.replace_webhook(db, next_version(stored, enabled=False), new_entry())
    claim_now(db)


def _held(db: Connection, dead: str) -> None:  # noqa: ARG001 one of several
    (leased,) = claim_now(db, slots=1).deliveries
    asyncio.run(record.record(db, [[failed(leased, START, next_attempt_at=START, hold_until=START + HOUR)]]))
    claim_now(db)


def _waiting_for_retries(db: Connection, dead: str) -> None:  # noqa: ARG001 one of several
    while leased := claim_now(db).deliveries:
        asyncio.run(record.record(db, [[failed(item, START, next_attempt_at=START + HOUR) for item in leased]]))


@pytest.mark.parametrize("state", [_disabled, _held, _waiting_for_retries], ids=["disabled", "held", "retries"])
def test_a_claim_costs_the_same_whatever_waits_for_others(
    tmp_path: Path, state: Callable[[Connection, str], None]
) -> None:
    """Three deliveries wait for a dead webhook, or three thousand."""

    def cost(name: str, backlog: int) -> int:
        db = new_database(tmp_path / name)
        dead = add_webhook(db, OTHER)
        add_events(db, backlog, OTHER)
        state(db, dead)
        mine = add_webhook(db)
        add_events(db, 5)
        claimed: list[ClaimResult] = []
        taken = steps_of(db, lambda: claimed.append(claim_now(db)))
        db.close()
        assert [item.webhook_id for item in claimed[0].deliveries] == [mine] * 5
        return taken

    few = cost("few.db", 3)
    assert few > 100
    assert cost("many.db", 3_000) == few


def test_a_claim_costs_the_same_however_long_its_own_backlog_is(tmp_path: Path) -> None:
    """Ten of thirty, or of three thousand that are due."""

    def cost(name: str, backlog: int) -> int:
        db = new_database(tmp_path / name)
        add_webhook(db)
        add_events(db, backlog)
        taken = steps_of(db, lambda: claim_now(db, slots=10))
        db.close()
        return taken

    few = cost("few.db", 30)
    assert cost("many.db", 3_000) == few
