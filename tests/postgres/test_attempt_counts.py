"""Test the counts of attempts with several nodes: they count for one webhook at the same time, and nothing is lost."""

import asyncio
from collections.abc import Sequence

from packhook.core.clock import DAY, HOUR
from packhook.core.model import LeasedDelivery
from packhook.core.statistics import AttemptCount, roll_up_before, summarize
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START
from store.values import add_webhook, ask, delivered, failed, publish
from support.values import replaced

DELIVERIES = 240


async def _record(store: PostgresStore, leased: Sequence[LeasedDelivery], number: int) -> None:
    """Record results in small batches, successes and mixed ones, with several latencies."""
    for begin in range(0, len(leased), 4):
        batch = [
            failed(item, START) if begin % 8 and place == number else delivered(item, START)
            for place, item in enumerate(leased[begin : begin + 4])
        ]
        results = [
            replaced(result, attempt=replaced(result.attempt, duration=(begin + place) * 10))
            for place, result in enumerate(batch)
        ]
        assert all(await store.record(results))


def _items(found: dict[int, tuple[AttemptCount, ...]]) -> list[AttemptCount]:
    return [item for items in found.values() for item in items]


async def test_nodes_count_for_the_same_webhooks_at_once(node: PostgresStore, other: PostgresStore) -> None:
    """Each result counts once, for its webhook and for the instance, while buckets are joined by the hour beside."""
    hooks = [await add_webhook(node), await add_webhook(node)]
    await publish(node, DELIVERIES // 2)
    shares = [(await ask(item, START, slots=DELIVERIES // 4)).deliveries for item in (node, other, node, other)]
    assert sum(map(len, shares)) == DELIVERIES
    done = asyncio.Event()

    async def join() -> None:
        while not done.is_set():
            now = START + 2 * DAY
            await other.apply_retention(events_before=0, keys_before=0, audit_before=0, now=now, limit=3)

    joining = asyncio.create_task(join())
    stores = (node, other, node, other)
    await asyncio.gather(*(_record(stores[place], share, place) for place, share in enumerate(shares)))
    done.set()
    await joining
    assert roll_up_before(START + 2 * DAY) > START
    of_webhooks = [
        summarize(START, _items(await node.attempt_counts(hook.id, (START - HOUR,), START + HOUR))) for hook in hooks
    ]
    of_instance = summarize(START, _items(await other.attempt_counts(None, (START - HOUR,), START + HOUR)))
    assert sum(found.attempts for found in of_webhooks) == DELIVERIES
    assert of_instance.attempts == DELIVERIES
    assert 0 < of_instance.exhausted == sum(found.exhausted for found in of_webhooks)
    assert of_instance.delivered + of_instance.exhausted == DELIVERIES
