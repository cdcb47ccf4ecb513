"""Test what the store says of the whole instance: what is due, by urgency and the condition of its webhook."""

from pathlib import Path

from packhook.core.clock import HOUR, MINUTE
from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import Urgency
from packhook.core.overview import DueDeliveries, Figures, WebhookCondition
from packhook.store.base import Store
from packhook.store.sqlite.connection import connect, migrate
from packhook.store.statements import load
from packhook.testing.clock import START
from store.values import OTHER, add_webhook, claim, failed, new_entry, next_version, publish

ACTIVE, FAILING, PAUSED, DISABLED = WebhookCondition


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
