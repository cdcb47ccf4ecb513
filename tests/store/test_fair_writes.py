"""Test that what one organization has queued in a store does not stand before another's work."""

import asyncio
from collections.abc import Awaitable

from packhook.core.clock import DAY
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.core.model import PublishRequest
from packhook.store.base import Store, WebhookFilter
from packhook.testing.clock import START
from store.values import ACME, ALL, OTHER, add_webhook, event, new_entry, publication, webhook

EVENTS_OF_LARGE = MAX_TRANSACTION_WEIGHT + 1
ROWS_OF_A_CALL = 25


async def _order_of(*calls: tuple[str, Awaitable[object]]) -> list[str]:
    """Begin all of these at once; return their names in the order in which they end."""
    order: list[str] = []

    async def run(name: str, call: Awaitable[object]) -> None:
        await call
        order.append(name)

    await asyncio.gather(*(run(*call) for call in calls))
    return order


def _large() -> PublishRequest:
    return publication(*(event() for _ in range(EVENTS_OF_LARGE)))


async def test_a_small_publish_waits_for_no_large_ones_that_wait_too(store: Store) -> None:
    """It waits for those that are written already: one with SQLite; two with PostgreSQL, where some end beside it."""
    await add_webhook(store, OTHER)
    await store.publish(publication(event(OTHER)))  # PostgreSQL takes a call for large until it knows the webhooks
    large = [("large", store.publish(_large())) for _ in range(8)]
    order = await _order_of(*large, ("small", store.publish(publication(event(OTHER)))))
    assert order.index("small") <= 5
    assert len((await store.list_events(ACME, ALL)).items) == min(ALL.limit, 8 * EVENTS_OF_LARGE)


async def test_many_changes_of_one_organization_do_not_stand_before_another_s(store: Store) -> None:
    """A webhook of the other one is created with the first of a hundred."""
    many = [("many", store.create_webhook(webhook(), new_entry())) for _ in range(100)]
    order = await _order_of(*many, ("other", store.create_webhook(webhook(OTHER), new_entry())))
    assert order.index("other") <= MAX_TRANSACTION_WEIGHT // ROWS_OF_A_CALL


async def test_many_reads_of_one_organization_do_not_stand_before_another_s(store: Store) -> None:
    """There are two readers with SQLite, and three with PostgreSQL: one may rest while the others go on."""
    many = [("many", store.list_events(ACME, ALL)) for _ in range(100)]
    order = await _order_of(*many, ("other", store.list_events(OTHER, ALL)))
    assert order.index("other") <= 50


async def test_retention_deletes_an_event_with_many_deliveries_in_batches(store: Store) -> None:
    """Each batch deletes a bounded number of rows, and none goes on for ever."""
    await asyncio.gather(*(add_webhook(store) for _ in range(12)))
    for _ in range(100):
        await store.publish(publication(*(event() for _ in range(10))))
    for item in (await store.list_webhooks(ACME, ALL, WebhookFilter())).items:
        await store.delete_webhook(ACME, item.id, START, new_entry())
    batches = []
    while not (
        batch := await store.apply_retention(
            events_before=START + DAY, keys_before=0, audit_before=0, now=START + DAY, limit=500
        )
    ).is_done:
        batches.append(batch)
        assert len(batches) < 200
    assert sum(batch.events for batch in batches) == 1_000
    assert len(batches) > 2
    assert (await store.list_events(ACME, ALL)).items == ()
