"""Test what the store says of the whole instance: what is due, by urgency and the condition of its webhook."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from packhook.core.clock import HOUR, MINUTE
from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import DeliveryStatus, Urgency
from packhook.core.overview import DueDeliveries, Figures, NodeStatus, Rates, WebhookCondition
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.filters import instance_delivery_conditions
from packhook.store.open import open_store
from packhook.store.overview import InstanceWebhookFilter
from packhook.store.pagination import page_statement
from packhook.store.sqlite.connection import connect, migrate
from packhook.store.sqlite.queries import HINTS, SQL
from packhook.store.statements import load
from packhook.testing.clock import START, ManualClock
from postgres.server import direct
from store.values import (
    ACME,
    OTHER,
    FakeDispatcher,
    add_webhook,
    claim,
    failed,
    new_entry,
    next_version,
    organization,
    publish,
)
from support.api_node import eventually

ACTIVE, FAILING, PAUSED, DISABLED = WebhookCondition
RATES = Rates(published=1.0, attempts=2.0, delivered=1.0)


def due(urgency: Urgency, condition: WebhookCondition, count: int, since: int) -> DueDeliveries:
    """Return a part of what is due."""
    return DueDeliveries(urgency=urgency, condition=condition, count=count, oldest_due_at=since)


async def test_an_empty_instance(store: Store) -> None:
    """Say nothing about what is not there."""
    assert await store.overview.figures(START) == Figures(at=START, due=(), webhooks={})


async def test_what_is_due_is_counted_by_urgency_and_condition(store: Store) -> None:
    """Count neither what is due later nor what is being sent, over organizations; name since when it is due."""
    active = await add_webhook(store)
    await publish(store, 2)
    assert len(await claim(store, START)) == 2
    failing = await add_webhook(store, OTHER)
    await publish(store, FAILURES_TO_FAIL, OTHER)
    retried = [failed(item, START, next_attempt_at=START + HOUR) for item in await claim(store, START)]
    await store.record([result for result in retried if result.delivery.webhook_id == failing.id])
    paused = await add_webhook(store, OTHER)
    await publish(store, 3, OTHER, created_at=START + MINUTE)
    await store.replace_webhook(next_version(paused, paused=True), new_entry())
    off = await add_webhook(store)
    await store.replace_webhook(next_version(off, enabled=False), new_entry())
    found = await store.overview.figures(START + 2 * MINUTE)
    assert set(found.due) == {
        due(Urgency.FIRST, ACTIVE, 2, START + MINUTE),
        due(Urgency.FIRST, FAILING, 3, START + MINUTE),
        due(Urgency.FIRST, PAUSED, 3, START + MINUTE),
    }
    assert found.webhooks == {ACTIVE: 1, FAILING: 1, PAUSED: 1, DISABLED: 1}
    later = {(part.urgency, part.condition): part.count for part in (await store.overview.figures(START + HOUR)).due}
    assert later[Urgency.RETRY, FAILING] == FAILURES_TO_FAIL
    assert active.enabled


def test_what_is_due_is_read_from_the_index(tmp_path: Path) -> None:
    """Read no row of a delivery: only the index by which they are claimed, which has those that are not finished."""
    db = connect(str(tmp_path / "packhook.db"))
    migrate(db)
    steps = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {load('sqlite')['count_due']}", (START, 5))]
    db.close()
    assert [step for step in steps if step.startswith("SCAN")] == [
        "SCAN deliveries USING COVERING INDEX deliveries_live",
        "SCAN d",
    ]


async def test_webhooks_of_all_organizations_are_listed_in_pages(store: Store) -> None:
    """Go through them oldest first, forwards and back, without deleted ones."""
    made = [await add_webhook(store, organization_id) for organization_id in (ACME, OTHER, ACME, OTHER)]
    await store.delete_webhook(ACME, made[2].id, START, new_entry())
    first = await store.overview.list_webhooks(PageRequest(limit=2))
    rest = await store.overview.list_webhooks(PageRequest(limit=2, anchor=first.items[-1].id))
    back = await store.overview.list_webhooks(PageRequest(limit=2, anchor=rest.items[0].id, backwards=True))
    assert [[item.id for item in page.items] for page in (first, rest, back)] == [
        [made[0].id, made[1].id],
        [made[3].id],
        [made[0].id, made[1].id],
    ]
    assert [(page.has_prev, page.has_next) for page in (first, rest, back)] == [
        (False, True),
        (True, False),
        (False, True),
    ]


async def test_what_is_leased_directly_is_being_sent(store: Store) -> None:
    """Like what was claimed."""
    await add_webhook(store)
    store.attach(FakeDispatcher(slots=1))
    await publish(store, 2)
    for status in (DeliveryStatus.SENDING, DeliveryStatus.PENDING):
        found = (await store.overview.list_deliveries(PageRequest(limit=5), DeliveryFilter(status=status))).items
        assert [item.status for item in found] == [status]


async def test_webhooks_of_all_organizations_are_listed_by_filters(store: Store) -> None:
    """By organization, event code and state: each webhook is in one state, that in which the figures count it."""
    failing = await add_webhook(store, OTHER)
    await publish(store, FAILURES_TO_FAIL, OTHER)
    await store.record([failed(item, START, next_attempt_at=START + HOUR) for item in await claim(store, START)])
    active = await add_webhook(store, OTHER, event_code="order.shipped")
    paused, off = await add_webhook(store), await add_webhook(store)
    await store.replace_webhook(next_version(paused, paused=True), new_entry())
    await store.replace_webhook(next_version(off, enabled=False), new_entry())

    async def found(**where: Any) -> list[str]:  # noqa: ANN401 a field has its own type
        page = await store.overview.list_webhooks(PageRequest(limit=10), InstanceWebhookFilter(**where))
        return [item.id for item in page.items]

    states = (active, ACTIVE), (failing, FAILING), (paused, PAUSED), (off, DISABLED)
    assert [await found(state=state) for _, state in states] == [[webhook.id] for webhook, _ in states]
    assert await found(organization_id=OTHER) == [failing.id, active.id]
    assert await found(organization_id=OTHER, state=FAILING, event_code="order.created") == [failing.id]
    assert await found(event_code="order.shipped") == [active.id]
    assert await found(organization_id="\0") == []


async def test_deliveries_of_all_organizations_are_listed_by_filters(store: Store) -> None:
    """Go through them newest first; find those of a webhook, a status and a time."""
    one, two = await add_webhook(store), await add_webhook(store, OTHER)
    await publish(store, 2)
    await publish(store, 1, OTHER, created_at=START + HOUR)
    exhausted, *_ = [item for item in await claim(store, START + HOUR) if item.webhook_id == one.id]
    await store.record([failed(exhausted, START + HOUR)])

    async def found(limit: int = 10, **where: Any) -> list[str]:  # noqa: ANN401 a field has its own type
        page = await store.overview.list_deliveries(PageRequest(limit=limit), DeliveryFilter(**where))
        return [item.id for item in page.items]

    every = await found()
    assert every == sorted(every, reverse=True)
    assert len(every) == 3
    assert await found(limit=2) == every[:2]
    assert await found(status=DeliveryStatus.EXHAUSTED) == [exhausted.id]
    assert len(await found(webhook_id=two.id)) == 1
    assert len(await found(webhook_id=one.id, status=DeliveryStatus.EXHAUSTED)) == 1
    assert await found(since=START + MINUTE) == await found(webhook_id=two.id)
    assert len(await found(until=START + MINUTE)) == 2
    late = await publish(store, 2, OTHER, created_at=START + 2 * HOUR)
    sending = await found(status=DeliveryStatus.SENDING)
    assert sending == sorted(set(every) - {exhausted.id}, reverse=True)
    pending = await found(status=DeliveryStatus.PENDING)
    assert (len(pending), pending == sorted(pending, reverse=True)) == (len(late), True)
    assert await found(limit=1, status=DeliveryStatus.PENDING) == pending[:1]
    assert await found(webhook_id=two.id, status=DeliveryStatus.PENDING) == pending
    assert await found(webhook_id=one.id, status=DeliveryStatus.PENDING) == []
    assert await found(since=START + 2 * HOUR, status=DeliveryStatus.SENDING) == []
    after = PageRequest(limit=1, anchor=pending[0])
    rest = await store.overview.list_deliveries(after, DeliveryFilter(status=DeliveryStatus.PENDING))
    assert [item.id for item in rest.items] == pending[1:]


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (DeliveryFilter(), "deliveries_by_id"),
        (DeliveryFilter(since=START), "deliveries_by_id (id>?)"),
        (DeliveryFilter(status=DeliveryStatus.DELIVERED), "deliveries_by_id"),
        (DeliveryFilter(status=DeliveryStatus.EXHAUSTED), "deliveries_exhausted_by_id"),
        (DeliveryFilter(status=DeliveryStatus.CANCELED, until=START), "deliveries_canceled_by_id (id<?)"),
        (DeliveryFilter(status=DeliveryStatus.PENDING, until=START), "deliveries_pending_by_id (id<?)"),
        (DeliveryFilter(webhook_id="w"), "deliveries_of_webhook (webhook_id=?)"),
        (DeliveryFilter(webhook_id="w", status=DeliveryStatus.PENDING), "deliveries_pending_of_webhook (webhook_id=?)"),
        (
            DeliveryFilter(webhook_id="w", status=DeliveryStatus.EXHAUSTED),
            "deliveries_exhausted_of_webhook (webhook_id=?)",
        ),
    ],
    ids=[
        *("any", "since", "delivered", "exhausted", "canceled until", "pending until"),
        *("webhook", "webhook pending", "webhook exhausted"),
    ],
)
def test_a_page_of_all_deliveries_walks_an_index(tmp_path: Path, where: DeliveryFilter, index: str) -> None:
    """Read in the order of the list: nothing is sorted."""
    db = connect(str(tmp_path / "packhook.db"))
    migrate(db)
    conditions = instance_delivery_conditions(where, HINTS)
    text, values = page_statement(SQL["list_deliveries"], conditions, PageRequest(limit=25), newest_first=True)
    (step,) = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    db.close()
    assert step.endswith(f"INDEX {index}")


@pytest.mark.parametrize("webhook_id", [None, "w"])
def test_what_is_being_sent_is_found_without_what_is_finished(tmp_path: Path, webhook_id: str | None) -> None:
    """Read the indexes that have only such deliveries, and sort those."""
    db = connect(str(tmp_path / "packhook.db"))
    migrate(db)
    where = DeliveryFilter(status=DeliveryStatus.SENDING, webhook_id=webhook_id)
    conditions = instance_delivery_conditions(where, HINTS)
    text, values = page_statement(SQL["list_deliveries"], conditions, PageRequest(limit=25), newest_first=True)
    steps = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    db.close()
    assert "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)" in steps
    read = [name for step in steps for name in re.findall(r"INDEX (deliveries_\w+)", step)]
    assert len(read) == 2
    assert all(name.startswith(("deliveries_live", "deliveries_pending", "deliveries_leased")) for name in read)


async def test_secrets_of_listed_webhooks_are_decrypted(tmp_path: Path) -> None:
    """Return what was stored, also through the store that encrypts."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'packhook.db'}")
    store = EncryptedStore(open_store(settings, ManualClock()), Keyring(settings))
    await store.open()
    await store.create_organization(organization(), new_entry())
    made = await add_webhook(store)
    found = await store.overview.list_webhooks(PageRequest(limit=10))
    await store.close()
    assert found.items == (made,)


async def test_what_a_node_says_about_itself_is_listed(database: str, store: Store) -> None:
    """What it said last; a node of an earlier version, which says nothing, is listed all the same."""
    store.attach(FakeDispatcher())
    seen = NodeStatus(name="host-1", version="0.1.0", started_at=START, seen_at=START, queued=3, rates={"1m": RATES})
    store.overview.report_node(msgspec.structs.replace(seen, queued=2))
    store.overview.report_node(seen)
    found = await eventually(store.overview.list_nodes, lambda nodes: nodes == (seen,))
    assert found == (seen,)
    if database.startswith("postgresql"):
        async with direct(database) as connection:
            await connection.execute("INSERT INTO nodes (id, first_lease, last_lease, since) VALUES (10, 1, 2, 0)")
            await connection.execute("SELECT pg_advisory_lock(10)")
            assert await store.overview.list_nodes() == (NodeStatus(name="a", started_at=0, seen_at=0), seen)
