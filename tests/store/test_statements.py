"""The SQL files: one statement each, with a purpose, used, and fast however many deliveries others have."""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import apsw
import pytest

from packhook.core.clock import HOUR
from packhook.core.errors import RequestError
from packhook.core.model import DeliveryStatus, Idempotency, LeasedDelivery
from packhook.store.base import AuditFilter, ClaimRequest, ClaimResult, DeliveryFilter, PageRequest, WebhookFilter
from packhook.store.sqlite import audit, claim, filing, history, publish, record, sweep, tenants, webhooks
from packhook.store.sqlite.connection import connect, migrate
from packhook.store.statements import load
from packhook.testing.clock import START
from store.building import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    capacity,
    delivered,
    event,
    failed,
    next_version,
    noted,
    organization,
    publication,
    webhook,
)

STORE = Path(str(files("packhook.store")))
STATEMENTS = sorted((STORE / "sql").glob("*/*.sql"))
NAMES = [f"{file.parent.name}/{file.stem}" for file in STATEMENTS]


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
    assert {name for name in load(dialect) if f'["{name}"]' not in modules} == set()
    assert set(re.findall(r'SQL\["(\w+)"\]', modules)) <= set(load(dialect))


def new_database(path: Path) -> apsw.Connection:
    """A migrated SQLite file with two organizations, for one who asks it directly; it need not be durable."""
    db = connect(str(path))
    db.execute("PRAGMA synchronous = OFF")
    migrate(db)
    for name in (ACME, OTHER):
        tenants.create_organization(db, (organization(name), noted()))
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A database."""
    opened = new_database(tmp_path / "packhook.db")
    yield opened
    opened.close()


def add_webhook(db: apsw.Connection, name: str = ACME, **changes: Any) -> str:  # noqa: ANN401 a field has its own type
    """A stored webhook's id."""
    stored = webhook(name, **changes)
    webhooks.create_webhook(db, (stored, noted()))
    return stored.id


def add_events(db: apsw.Connection, count: int, name: str = ACME) -> None:
    """Stored events, whose deliveries wait."""
    batch = publication(*(event(name) for _ in range(count)))
    (answer,) = publish.publish(db, [batch], lambda: capacity(0, room=0), filing.Pace())
    assert not isinstance(answer, RequestError)


def claim_now(db: apsw.Connection, **offered: Any) -> ClaimResult:  # noqa: ANN401 as above
    """A claim at the beginning."""
    return claim.claim(db, ClaimRequest(now=START, capacity=capacity(START + LEASE, **offered), per_lane=100))


def a_day(db: apsw.Connection) -> None:
    """Everything that a store does all day long, and all that people ask of it."""
    first, second = add_webhook(db), add_webhook(db, OTHER)
    file_all(db)
    again = publication(event(), idempotency=Idempotency(key="k", fingerprint=b"f" * 32, stale_before=0))
    for _ in range(2):
        publish.publish(db, [again], lambda: capacity(START + LEASE, room=1), filing.Pace(), require_verification=True)
    add_events(db, 4)
    leased = claim_now(db).deliveries
    record.record(db, [[delivered(leased[0], START)]])
    record.record(db, [[failed(leased[1], START, next_attempt_at=START + 1, hold_until=START + 1)]])
    record.record(db, [[failed(leased[2], START, disable_reason="gone")]])
    claim.release(db, (leased[3:], START, frozenset()))
    history.replay_delivery(db, (ACME, leased[0].id, START, noted()))
    claim_now(db)
    read_back(db, leased[0], first)
    webhooks.delete_webhook(db, (OTHER, second, START, noted()))
    webhooks.release_unverified(db, START)
    sweep.Broom(require_verification=True).sweep(db, (START, START, START, START, 10))
    sweep.disable_failing(db, (START, START, "failed"))
    claim.rescue(db, START)


def file_all(db: apsw.Connection) -> None:
    """As with every thousandth event: deliveries, and events."""
    usual, filing.UNFILED = filing.UNFILED, 1
    for _ in range(2):
        add_events(db, 1)
    filing.UNFILED = usual


def read_back(db: apsw.Connection, leased: LeasedDelivery, webhook_id: str) -> None:
    """Every look at the history."""
    history.get_event(db, ACME, leased.event_id)
    history.get_delivery(db, ACME, leased.id)
    history.list_events(db, ACME, ALL)
    for where in (
        DeliveryFilter(),
        DeliveryFilter(webhook_id=webhook_id),
        DeliveryFilter(event_id=leased.event_id),
        DeliveryFilter(webhook_id=webhook_id, status=DeliveryStatus.EXHAUSTED, since=START),
        DeliveryFilter(event_code="order.created", status=DeliveryStatus.EXHAUSTED),
        *(DeliveryFilter(status=status) for status in DeliveryStatus),
    ):
        history.list_deliveries(db, ACME, ALL, where)
    webhooks.list_webhooks(db, ACME, ALL, WebhookFilter(enabled=True))
    webhooks.targets(db, [webhook_id])


def statements_of(db: apsw.Connection, work: Callable[[apsw.Connection], object]) -> dict[str, Any]:
    """Every statement that this work runs, with the values it last had."""
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


def plan(db: apsw.Connection, statement: str, values: Any) -> list[str]:  # noqa: ANN401 as above
    """How SQLite goes about it, one line a step."""
    return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


# The sweep reads the oldest events (e) and stops at the first that is young enough; at start what is live is read.
WALKED_ON_PURPOSE = {"SCAN e", "SCAN deliveries USING COVERING INDEX deliveries_handed"}
A_WALK = re.compile(r"SCAN (events|deliveries|attempts|idempotency_keys|audit_entries|e|d|a)\b.*")


def test_nothing_walks_through_all_events_or_deliveries(db: apsw.Connection) -> None:
    """Every statement of a day finds what it wants by an index."""
    walks = {
        (step, statement)
        for statement, values in statements_of(db, a_day).items()
        for step in plan(db, statement, values)
        if A_WALK.fullmatch(step) and step not in WALKED_ON_PURPOSE
    }
    assert walks == set()


HOT = {
    "claim_deliveries": "deliveries_live (webhook_id=? AND urgency=? AND claimable_at<?)",
    "lane_next": "deliveries_live (webhook_id=? AND urgency=? AND claimable_at>?)",
    "due_lanes": "lanes_due (due_at<?)",
    "next_lanes": "lanes_due",
    "wanting_webhooks": "webhooks_wanting (organization_id=? AND event_code=?)",
    "expire_handed": "deliveries_handed (handed_until<?)",
    "next_handed": "deliveries_handed",
    "last_numbers": "SEARCH deliveries",
    "file_events": "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "file_deliveries": "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "find_event": "filed_events USING PRIMARY KEY (organization_id=? AND id=?)",
    "find_delivery": "deliveries_of_organization (organization_id=? AND id=?)",
    "webhooks_pending_verification": "webhooks_unproven (organization_id=? AND event_code=?)",
    "settle_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "release_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "lease_delivery": "INTEGER PRIMARY KEY (rowid=?)",
    "find_idempotency_key": "PRIMARY KEY (organization_id=? AND key=?)",
}


def test_the_hot_statements_use_their_indexes(db: apsw.Connection) -> None:
    """By the very columns, and nothing is sorted that could be many."""
    values = statements_of(db, a_day)
    plans = {name: "\n".join(plan(db, load("sqlite")[name], values[load("sqlite")[name]])) for name in HOT}
    assert {name: steps for name, steps in plans.items() if HOT[name] not in steps} == {}


def test_the_hot_statements_are_planned_once(db: apsw.Connection) -> None:
    """Not anew for each set of values, as SQLite does by default where an ORDER BY or a partial index is looked at."""
    values = statements_of(db, a_day)
    planned: set[str] = set()

    def note(_action: int, _one: str | None, _two: str | None, _database: str | None, _within: str | None) -> int:
        planned.add(name)
        return apsw.SQLITE_OK

    db.authorizer = note  # asked while a statement is planned, and then only
    for name in HOT:
        statement = load("sqlite")[name]
        list(db.execute(statement, values[statement]))
        planned.discard(name)
        list(db.execute(statement, values[statement]))
    db.authorizer = None
    assert planned == set()


def asked_of_deliveries(db: apsw.Connection, where: DeliveryFilter) -> list[str]:
    """How SQLite goes about the page after a cursor."""
    page = PageRequest(limit=5, anchor="dlv_9")
    asked = statements_of(db, lambda db: history.list_deliveries(db, ACME, page, where))
    (steps,) = (plan(db, text, values) for text, values in asked.items() if "FROM deliveries" in text)
    return steps


LISTED = {
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
    db: apsw.Connection, where: DeliveryFilter, index: str
) -> None:
    """From the cursor on, and nothing is sorted."""
    steps = asked_of_deliveries(db, where)
    assert index in "\n".join(steps)
    assert not any("TEMP B-TREE" in step for step in steps)


FILED = {
    "by organization": (DeliveryFilter(), "deliveries_of_organization (organization_id=? AND id<?)"),
    "delivered": (
        DeliveryFilter(status=DeliveryStatus.DELIVERED),
        "deliveries_of_organization (organization_id=? AND id<?)",
    ),
    "by webhook": (DeliveryFilter(webhook_id="w"), "deliveries_of_webhook (webhook_id=? AND id<?)"),
    "since": (DeliveryFilter(since=START), "deliveries_of_organization (organization_id=? AND id>? AND id<?)"),
    "pending of a webhook": (
        DeliveryFilter(webhook_id="w", status=DeliveryStatus.PENDING),
        "deliveries_of_webhook (webhook_id=? AND id<?)",
    ),
}


@pytest.mark.parametrize(("where", "index"), FILED.values(), ids=FILED)
def test_a_page_of_a_list_that_is_written_late_is_merged_from_its_index_and_the_newest_rows(
    db: apsw.Connection, where: DeliveryFilter, index: str
) -> None:
    """From the cursor on in the index; sorted is what is newest, and what was found."""
    steps = asked_of_deliveries(db, where)
    read = [step for step in steps if "deliveries" in step]
    assert [step.partition("INDEX ")[2] or step for step in read] == [
        "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)",
        index,
        "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid>?)",
    ]
    assert sum("TEMP B-TREE" in step for step in steps) == 2


def test_a_page_of_events_is_merged_from_the_list_and_the_newest_rows(db: apsw.Connection) -> None:
    """As those of deliveries are; what is sorted is numbers and ids."""
    asked = statements_of(db, lambda db: history.list_events(db, ACME, PageRequest(limit=5, anchor="evt_9")))
    (steps,) = (plan(db, text, values) for text, values in asked.items() if "FROM events" in text)
    assert [step for step in steps if "events" in step] == [
        "SEARCH filed_events USING PRIMARY KEY (organization_id=? AND id<?)",
        "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
    ]
    assert steps[-1] == "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"  # in the order of the page, so no data is sorted


def test_what_is_under_way_is_merged_from_what_was_claimed_and_what_was_handed_over(db: apsw.Connection) -> None:
    """No finished delivery is met; what is sorted is what was handed over, which is little."""
    steps = asked_of_deliveries(db, DeliveryFilter(status=DeliveryStatus.SENDING))
    assert [step for step in steps if "deliveries" in step] == [
        "SEARCH deliveries USING INDEX deliveries_live_of_organization (organization_id=? AND id<?)",
        "SEARCH deliveries USING INDEX deliveries_handed (handed_until>?)",
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
    db: apsw.Connection, where: AuditFilter, index: str
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
        2,
    ),
    "exhausted": (
        DeliveryFilter(event_code="order.created", status=DeliveryStatus.EXHAUSTED),
        "deliveries_exhausted_of_webhook (webhook_id=? AND id<?)",
        1,
    ),
}


@pytest.mark.parametrize(("where", "index", "sorted_parts"), MERGED.values(), ids=MERGED)
def test_a_page_of_one_event_code_is_merged_from_the_webhooks_that_may_have_some(
    db: apsw.Connection, where: DeliveryFilter, index: str, sorted_parts: int
) -> None:
    """Each by its own index from the cursor on; nothing is sorted but what they found, and what is newest."""
    steps = asked_of_deliveries(db, where)
    found = "\n".join(steps)
    assert "webhooks_ever_of_organization" in found
    assert index in found
    assert "(rowid=?)" in found
    assert sum("TEMP B-TREE" in step for step in steps) == sorted_parts


def steps_of(db: apsw.Connection, work: Callable[[], object]) -> int:
    """How many steps SQLite's machine takes for this work."""
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


def _disabled(db: apsw.Connection, dead: str) -> None:
    stored = webhooks.get_webhook(db, OTHER, dead)
    webhooks.replace_webhook(db, (next_version(stored, enabled=False), noted()))
    claim_now(db)


def _held(db: apsw.Connection, dead: str) -> None:  # noqa: ARG001 one of several
    (leased,) = claim_now(db, room=1).deliveries
    record.record(db, [[failed(leased, START, next_attempt_at=START, hold_until=START + HOUR)]])
    claim_now(db)


def _waiting_for_retries(db: apsw.Connection, dead: str) -> None:  # noqa: ARG001 one of several
    while leased := claim_now(db).deliveries:
        record.record(db, [[failed(each, START, next_attempt_at=START + HOUR) for each in leased]])


@pytest.mark.parametrize("state", [_disabled, _held, _waiting_for_retries], ids=["disabled", "held", "retries"])
def test_a_claim_costs_the_same_whatever_waits_for_others(
    tmp_path: Path, state: Callable[[apsw.Connection, str], None]
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
        assert [each.webhook_id for each in claimed[0].deliveries] == [mine] * 5
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
        taken = steps_of(db, lambda: claim_now(db, room=10))
        db.close()
        return taken

    few = cost("few.db", 30)
    assert cost("many.db", 3_000) == few
