"""Test a paused webhook: its deliveries are made and wait, nothing is sent, and it does not count as failing."""

from packhook.core.clock import DAY, HOUR
from packhook.core.model import DeliveryStatus
from packhook.store.base import DeliveryFilter, Store
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    next_version,
    publish,
)

LATER = START + HOUR


async def test_deliveries_of_a_paused_webhook_are_made_and_wait(store: Store, dispatcher: FakeDispatcher) -> None:
    """They are leased to no node, whatever capacity there is; others are."""
    dispatcher.slots = 10
    paused, other = await add_webhook(store, paused=True), await add_webhook(store)
    await publish(store, 3)
    assert [leased.webhook_id for leased in dispatcher.enqueued] == [other.id] * 3
    waiting = (await store.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=paused.id))).items
    assert [(delivery.status, delivery.attempt_count) for delivery in waiting] == [(DeliveryStatus.PENDING, 0)] * 3
    claimed = await ask(store, START)
    assert (claimed.deliveries, claimed.backlog) == ((), frozenset())


async def test_resuming_sends_what_waited_in_order_of_age(store: Store, dispatcher: FakeDispatcher) -> None:
    """First attempts by age, then the retries that are due; what is planned for later stays planned."""
    stored = await add_webhook(store)
    for _ in range(2):
        await publish(store)
    soon, late = await claim(store, START)
    await store.record(
        [failed(soon, START, next_attempt_at=START + 1), failed(late, START, next_attempt_at=START + DAY)]
    )
    paused = next_version(stored, paused=True)
    await store.replace_webhook(paused, new_entry())
    published = [(await publish(store, created_at=START + number))[0].id for number in range(3)]
    assert await claim(store, LATER) == ()
    dispatcher.notified.clear()
    await store.replace_webhook(next_version(paused, paused=False, updated_at=LATER), new_entry())
    assert dispatcher.notified == [(frozenset({stored.id}), LATER)]
    assert [leased.event_id for leased in await claim(store, LATER)] == [*published, soon.event_id]


async def test_what_is_in_flight_finishes(store: Store) -> None:
    """A pause takes no lease away; the result is recorded, and a retry waits."""
    stored = await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    await store.replace_webhook(next_version(stored, paused=True), new_entry())
    assert await store.record([delivered(first, START), failed(second, START, next_attempt_at=START)]) == [True, True]
    assert await claim(store, LATER) == ()


async def test_a_pause_is_no_failure(store: Store) -> None:
    """A webhook that failed is neither warned of nor disabled while it is paused, and begins anew after it."""
    stored = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    for number in range(12):
        at = START + number * HOUR
        await store.record([failed(leased, at, next_attempt_at=at)])
        leased = await claim_one(store, at)
    await store.record([failed(leased, at, next_attempt_at=at)])
    paused = next_version(stored, paused=True)
    await store.replace_webhook(paused, new_entry())
    assert await store.warn_failing(failing_for=HOUR, now=LATER) == {}
    assert await store.disable_failing(failing_for=HOUR, now=LATER, reason="failed") == ()
    await store.replace_webhook(next_version(paused, paused=False), new_entry())
    assert await store.failing_since([stored.id]) == {}
    assert await store.disable_failing(failing_for=HOUR, now=LATER, reason="failed") == ()


async def test_what_waited_for_longer_than_events_are_kept_is_canceled(store: Store) -> None:
    """A forgotten pause does not keep events for ever; younger ones stay."""
    await add_webhook(store, paused=True)
    (old,) = await publish(store)
    (young,) = await publish(store, created_at=START + DAY)
    batch = await store.apply_retention(
        events_before=START + 1, keys_before=0, audit_before=0, now=START + DAY, limit=10
    )
    assert batch.canceled == 1
    assert batch.events == 1
    assert [event.id for event in (await store.list_events(ACME, ALL)).items] == [young.id]
    assert old.id != young.id
