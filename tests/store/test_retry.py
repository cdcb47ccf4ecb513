"""Test retries by hand: a finished delivery is sent again, from the beginning of its schedule."""

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Delivery, DeliveryStatus, LeasedDelivery, Urgency
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import (
    ACME,
    OTHER,
    FakeDispatcher,
    add_webhook,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    next_version,
    publish,
)

LATER = START + HOUR


async def finish(store: Store, *, well: bool = False) -> LeasedDelivery:
    """Return a delivery with two attempts, the second delivered or exhausted."""
    await publish(store)
    first = await claim_one(store, START)
    await store.record([failed(first, START, next_attempt_at=START + 1)])
    second = await claim_one(store, START + 1)
    await store.record([delivered(second, START + 1) if well else failed(second, START + 1)])
    return second


@pytest.mark.parametrize("well", [True, False], ids=["delivered", "exhausted"])
async def test_a_retried_delivery_is_due_now_with_a_schedule_begun_anew(store: Store, well: bool) -> None:
    """Its attempts are kept and count on."""
    await add_webhook(store)
    done = await finish(store, well=well)
    answer = await store.retry_delivery(ACME, done.id, LATER, new_entry())
    assert answer == Delivery(
        id=done.id,
        event_id=done.event_id,
        webhook_id=done.webhook_id,
        organization_id=ACME,
        event_code="order.created",
        status=DeliveryStatus.PENDING,
        attempt_count=2,
        attempts_before=2,
        next_attempt_at=LATER,
        created_at=START,
        updated_at=LATER,
    )
    assert (await store.get_delivery(ACME, done.id))[0] == answer
    again = await claim_one(store, LATER)
    assert (again.id, again.attempt_count, again.attempts_before, again.urgency) == (done.id, 2, 2, Urgency.REPLAY)
    await store.record([third := delivered(again, LATER)])
    delivery, attempts = await store.get_delivery(ACME, done.id)
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.DELIVERED, 3)
    assert [item.number for item in attempts] == [1, 2, 3]
    assert attempts[2] == third.attempt


async def test_a_retry_that_fails_stays_behind_new_events(store: Store) -> None:
    """Its retries do not go before those of new events."""
    await add_webhook(store)
    done = await finish(store)
    await store.retry_delivery(ACME, done.id, LATER, new_entry())
    again = await claim_one(store, LATER)
    await store.record([failed(again, LATER, next_attempt_at=LATER + 1)])
    retry = await claim_one(store, LATER + 1)
    assert (retry.urgency, retry.attempt_count, retry.attempts_before) == (Urgency.REPLAY, 3, 2)


async def test_a_delivery_may_be_retried_again_and_again(store: Store) -> None:
    """Each time from the beginning of its schedule."""
    await add_webhook(store)
    done = await finish(store)
    before = []
    for turn in range(3):
        before.append((await store.retry_delivery(ACME, done.id, LATER + turn, new_entry())).attempts_before)
        await store.record([failed(await claim_one(store, LATER + turn), LATER + turn)])
    assert before == [2, 3, 4]


async def test_a_delivery_that_is_being_sent_is_not_retried(store: Store) -> None:
    """Its outcome decides what happens next."""
    await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    with pytest.raises(Conflict):
        await store.retry_delivery(ACME, leased.id, START, new_entry())


async def test_nothing_is_retried_to_a_deleted_webhook(store: Store) -> None:
    """Nor to one of a deleted organization, nor what was canceled with it."""
    stored = await add_webhook(store)
    done = await finish(store)
    await publish(store, created_at=START + DAY)
    (waiting,) = await claim(store, START + DAY)
    await store.release([waiting], START)
    await store.delete_webhook(ACME, stored.id, START, new_entry())
    await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=START, limit=10)
    for delivery in (done, waiting):
        with pytest.raises(Conflict):
            await store.retry_delivery(ACME, delivery.id, LATER, new_entry())


async def test_a_retry_to_a_disabled_webhook_waits(store: Store) -> None:
    """It is sent once the webhook is enabled."""
    stored = await add_webhook(store)
    done = await finish(store)
    await store.replace_webhook(disabled := next_version(stored, enabled=False), new_entry())
    await store.retry_delivery(ACME, done.id, LATER, new_entry())
    assert await claim(store, LATER) == ()
    await store.replace_webhook(next_version(disabled, enabled=True, updated_at=LATER), new_entry())
    assert (await claim_one(store, LATER)).id == done.id


async def test_the_engine_is_woken_for_a_retry(store: Store, dispatcher: FakeDispatcher) -> None:
    """It is due now."""
    await add_webhook(store)
    done = await finish(store)
    dispatcher.notified.clear()
    await store.retry_delivery(ACME, done.id, LATER, new_entry())
    assert dispatcher.notified == [(frozenset({done.webhook_id}), LATER)]


@pytest.mark.parametrize("organization_id", [OTHER, "unknown"])
async def test_another_organizations_delivery_cannot_be_retried(store: Store, organization_id: str) -> None:
    """It is not found, and is unchanged."""
    await add_webhook(store)
    done = await finish(store)
    for delivery_id in (done.id, "dlv_unknown"):
        with pytest.raises(NotFound):
            await store.retry_delivery(organization_id, delivery_id, LATER, new_entry())
    assert await claim(store, LATER) == ()
