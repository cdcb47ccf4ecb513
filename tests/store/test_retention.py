"""Test retention: expired events are deleted, live ones are kept, and webhooks that fail for days are disabled."""

import hashlib
from itertools import count

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import DeliveryStatus, Idempotency, WebhookState
from packhook.store.base import DeliveryFilter, Store
from packhook.store.retention import RetentionBatch
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
    status_of,
)

LATER = START + DAY


async def sweep(
    store: Store,
    *,
    events_before: int = 0,
    keys_before: int = 0,
    audit_before: int = 0,
    now: int = LATER,
    limit: int = 100,
) -> RetentionBatch:
    """Run one batch of retention; without an instant nothing is expired."""
    return await store.apply_retention(
        events_before=events_before, keys_before=keys_before, audit_before=audit_before, now=now, limit=limit
    )


async def test_expired_events_are_deleted_with_all_their_rows(store: Store) -> None:
    """Their deliveries and attempts, of every organization; younger ones stay, to the millisecond."""
    for name in (ACME, OTHER):
        await add_webhook(store, name)
    (old,), (others,) = await publish(store), await publish(store, 1, OTHER)
    (young,) = await publish(store, created_at=START + 1)
    leased = await claim(store, LATER)
    await store.record([delivered(item, LATER) for item in leased])
    assert await sweep(store, events_before=START + 1) == RetentionBatch(events=2)
    assert (await store.list_events(ACME, ALL)).items == (young,)
    assert [item.event_id for item in (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items] == [young.id]
    left = {item.event_id: item for item in leased}
    for gone in (left[old.id], left[others.id]):
        with pytest.raises(NotFound):
            await store.get_delivery(gone.organization_id, gone.id)
    assert len((await store.get_delivery(ACME, left[young.id].id))[1]) == 1
    assert await sweep(store, events_before=START + 1) == RetentionBatch()


async def test_events_with_a_live_delivery_stay(store: Store) -> None:
    """It is pending, being sent, retried or replayed; the event is deleted when all deliveries are finished."""
    hook, other = await add_webhook(store), await add_webhook(store)
    await publish(store, 5)
    leased = await claim(store, START)
    pending, sending, again, replayed, done = (item for item in leased if item.webhook_id == hook.id)
    await store.record([delivered(item, START) for item in leased if item.webhook_id == other.id])
    await store.record([delivered(replayed, START), delivered(done, START)])
    await store.record([failed(again, START, next_attempt_at=LATER)])
    await store.release([pending], START)
    await store.retry_delivery(ACME, replayed.id, START, new_entry())
    assert await sweep(store, events_before=LATER) == RetentionBatch(events=1)
    kept = {item.event_id for item in (pending, sending, again, replayed)}
    assert {item.id for item in (await store.list_events(ACME, ALL)).items} == kept
    await store.record([delivered(item, LATER) for item in await claim(store, LATER)])
    assert await sweep(store, events_before=LATER) == RetentionBatch(events=4)


async def test_what_waited_past_retention_for_a_disabled_webhook_is_canceled(store: Store) -> None:
    """Its events are kept as long as others; younger deliveries continue to wait."""
    hook = await add_webhook(store)
    await publish(store, 2)
    (young,) = await publish(store, created_at=LATER)
    await store.replace_webhook(next_version(hook, enabled=False), new_entry())
    assert await sweep(store, events_before=LATER) == RetentionBatch(events=2, canceled=2)
    (left,) = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
    assert (left.event_id, left.status) == (young.id, DeliveryStatus.PENDING)


async def test_a_kept_event_does_not_keep_younger_ones(store: Store) -> None:
    """The oldest may have a delivery that is live for long."""
    await add_webhook(store)
    (live,) = await publish(store, created_at=START - 5)
    leased = await claim_one(store, START)
    await publish(store, 3, event_code="order.shipped")
    batches = [await sweep(store, events_before=LATER, limit=2) for _ in range(3)]
    assert [(batch.events, batch.is_done) for batch in batches] == [(1, False), (2, False), (0, True)]
    assert (await store.list_events(ACME, ALL)).items == (live,)
    assert await store.record([delivered(leased, LATER)]) == [True]


async def keep(store: Store, retention: int | None, name: str = ACME) -> None:
    """Give an organization a retention of its own."""
    await store.update_organization(organization(name, retention=retention), new_entry())


async def sweep_all(store: Store, **times: int) -> int:
    """Run batches until nothing is left to do; return how many events were deleted."""
    deleted = 0
    for _ in count():
        batch = await sweep(store, **times)
        deleted += batch.events
        if batch.is_done:
            return deleted
    raise AssertionError


@pytest.mark.parametrize("limit", [1, 100])
async def test_an_organization_keeps_its_events_for_as_long_as_it_says(store: Store, limit: int) -> None:
    """Shorter or longer than the instance; what others publish between is deleted in time."""
    await keep(store, 10 * DAY)
    await store.create_organization(organization("brief", retention=HOUR), new_entry())
    for created_at in (START, START + HOUR, START + 2 * HOUR):
        for name in (ACME, OTHER, "brief"):
            await publish(store, 1, name, created_at=created_at)

    async def left() -> list[int]:
        return [len((await store.list_events(name, ALL)).items) for name in (ACME, OTHER, "brief")]

    assert await sweep_all(store, events_before=START, now=START + 2 * HOUR, limit=limit) == 1
    assert await left() == [3, 3, 2]
    assert await sweep_all(store, events_before=START + HOUR, now=START + 3 * HOUR, limit=limit) == 2
    assert await left() == [3, 2, 1]
    assert await sweep_all(store, events_before=LATER, now=START + 10 * DAY + HOUR, limit=limit) == 4
    assert await left() == [2, 0, 0]
    await keep(store, None)
    assert await sweep_all(store, events_before=LATER, now=LATER, limit=limit) == 2


async def test_what_waits_is_canceled_when_its_organizations_time_is_over(store: Store) -> None:
    """Of a disabled webhook; an organization that keeps events for longer waits for longer."""
    await keep(store, HOUR)
    await keep(store, 2 * DAY, OTHER)
    for name in (ACME, OTHER):
        hook = await add_webhook(store, name)
        await publish(store, 1, name)
        await store.replace_webhook(next_version(hook, enabled=False), new_entry())
    assert (await sweep(store, events_before=LATER, now=LATER)).canceled == 1
    ((waiting,), _) = [(await store.list_deliveries(name, ALL, DeliveryFilter())).items for name in (OTHER, ACME)]
    assert waiting.status is DeliveryStatus.PENDING


async def test_an_organization_that_is_not_there_has_no_retention(store: Store) -> None:
    """Nor one that was deleted."""
    await store.delete_organization(OTHER, START, new_entry())
    for name in (OTHER, "unknown"):
        with pytest.raises(NotFound):
            await keep(store, HOUR, name)
    await keep(store, HOUR)
    assert await store.get_organization(ACME) == organization(ACME, retention=HOUR)


async def test_a_batch_of_retention_has_a_limit(store: Store) -> None:
    """The limit is for each table; batch by batch everything is deleted."""
    for number in range(5):
        key = Idempotency(key=str(number), fingerprint=b"f" * 32, stale_before=0)
        await store.publish(publication(event(), idempotency=key))
    gone = await add_webhook(store, event_code="order.shipped")
    await publish(store, 5, event_code="order.shipped", created_at=LATER)
    await store.delete_webhook(ACME, gone.id, LATER, new_entry())
    batches = []
    for _ in count():
        batches.append(await sweep(store, events_before=LATER, keys_before=LATER, limit=2))
        if batches[-1].is_done:
            break
    amounts = [2, 2, 1, 0]
    assert batches == [
        RetentionBatch(events=item, idempotency_keys=item, canceled=item, more=item > 0) for item in amounts
    ]


async def test_stale_idempotency_keys_go(store: Store) -> None:
    """Those before the instant; the others still answer."""

    def key(name: str) -> Idempotency:
        return Idempotency(key=name, fingerprint=hashlib.sha256(b"x").digest(), stale_before=0)

    await store.publish(publication(event(), idempotency=key("old")))
    young = await store.publish(publication(event(created_at=START + 1), idempotency=key("young")))
    assert await sweep(store, keys_before=START + 1) == RetentionBatch(idempotency_keys=1)
    reused = event()
    assert (await store.publish(publication(reused, idempotency=key("old"))))[0].id == reused.id
    assert await store.publish(publication(event(), idempotency=key("young"))) == young


async def test_what_waits_for_a_deleted_webhook_is_canceled(store: Store) -> None:
    """New or to be retried, at that instant, with no attempt counted; others stay."""
    gone, _ = await add_webhook(store), await add_webhook(store)
    await publish(store, 2)
    leased = await claim(store, START)
    new, again = (item for item in leased if item.webhook_id == gone.id)
    await store.record([failed(again, START, next_attempt_at=LATER)])
    await store.release([item for item in leased if item.id != again.id], START)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    assert await sweep(store) == RetentionBatch(canceled=2, statistics=1)
    for item, attempts in ((new, 0), (again, 1)):
        delivery, _ = await store.get_delivery(ACME, item.id)
        assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.CANCELED, attempts)
        assert (delivery.next_attempt_at, delivery.updated_at) == (None, LATER)
    assert len(await claim(store, LATER)) == 2


async def test_a_delivery_being_sent_to_a_deleted_webhook_is_settled(store: Store) -> None:
    """Its outcome counts; instead of a retry, or when released, it is canceled."""
    gone = await add_webhook(store)
    await publish(store, 3)
    done, again, unsent = await claim(store, START)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    assert await sweep(store, now=START) == RetentionBatch()
    assert await store.record([delivered(done, START), failed(again, START, next_attempt_at=LATER)]) == [True, True]
    await store.release([unsent], START)
    assert await sweep(store) == RetentionBatch(canceled=2, statistics=2)
    assert [await status_of(store, item) for item in (done, again, unsent)] == ["delivered", "canceled", "canceled"]


async def test_what_was_on_its_way_to_a_deleted_webhook_is_canceled_when_its_lease_has_run_out(store: Store) -> None:
    """Nothing will settle it any more, and its event would be kept for ever."""
    gone = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    assert await sweep(store, now=START + LEASE - 1) == RetentionBatch()
    assert await sweep(store, now=START + LEASE) == RetentionBatch(canceled=1)
    assert await status_of(store, leased) is DeliveryStatus.CANCELED
    assert await sweep(store, events_before=LATER) == RetentionBatch(events=1)


async def test_what_was_canceled_needs_no_claim(store: Store) -> None:
    """Nor a reason to come again."""
    gone = await add_webhook(store)
    await publish(store)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    await sweep(store)
    claimed = await ask(store, LATER)
    assert (claimed.deliveries, claimed.next_due_at) == ((), None)


async def fail(store: Store, times: int, *, over: int = DAY, first_at: int = START) -> str:
    """Add a webhook with ``times`` failures over ``over`` milliseconds and no success; return its id."""
    stored = await add_webhook(store)
    await publish(store, times, created_at=first_at)
    leased = [item for item in await claim(store, first_at) if item.webhook_id == stored.id]
    for number, item in enumerate(leased):
        await store.record([failed(item, first_at + number * over // (times - 1))])
    await store.replace_webhook(next_version(stored, event_code="order.shipped"), new_entry())
    return stored.id


async def test_webhooks_that_fail_for_long_are_disabled(store: Store) -> None:
    """Ten times at least, from the first to the last for so long; others are not, however long they are silent."""
    long_and_often = await fail(store, 10)
    not_often = await fail(store, 9)
    not_long = await fail(store, 10, over=DAY - 1)
    well = await add_webhook(store)
    disabled = await store.disable_failing(failing_for=DAY, now=LATER, reason="too long")
    assert disabled == (long_and_often,)
    hooks = {name: await store.get_webhook(ACME, name) for name in (long_and_often, not_often, not_long, well.id)}
    assert [hook.enabled for hook in hooks.values()] == [False, True, True, True]
    off = hooks[long_and_often]
    assert (off.disabled_reason, off.updated_at, off.version) == ("too long", LATER, 3)
    assert await store.disable_failing(failing_for=DAY, now=LATER, reason="again") == ()


async def test_a_success_or_enabling_resets_the_count(store: Store) -> None:
    """Failures before it do not count any more."""
    name = await fail(store, 10)
    await store.disable_failing(failing_for=DAY, now=LATER, reason="too long")
    off = await store.get_webhook(ACME, name)
    await store.replace_webhook(next_version(off, enabled=True, disabled_reason=""), new_entry())
    assert await store.disable_failing(failing_for=0, now=LATER, reason="again") == ()
    other = await fail(store, 10)
    await publish(store, event_code="order.shipped", created_at=START + HOUR)
    await store.record([delivered(item, START + HOUR) for item in await claim(store, START + HOUR)])
    assert await store.disable_failing(failing_for=0, now=LATER, reason="again") == ()
    assert await store.webhook_states([other]) == {other: WebhookState(webhook=await store.get_webhook(ACME, other))}


async def test_the_engine_is_notified_of_webhooks_that_retention_disabled(
    store: Store, dispatcher: FakeDispatcher
) -> None:
    """It must not send what it has queued for them."""
    name = await fail(store, 10)
    dispatcher.changes.clear()
    await store.disable_failing(failing_for=DAY, now=LATER, reason="too long")
    assert dispatcher.changes == [name]


async def test_a_change_of_a_webhook_that_was_disabled_meanwhile_is_a_conflict(store: Store) -> None:
    """The editor of the webhook learns that it is disabled now."""
    name = await fail(store, 10)
    before = await store.get_webhook(ACME, name)
    await store.disable_failing(failing_for=DAY, now=LATER, reason="too long")
    with pytest.raises(Conflict):
        await store.replace_webhook(next_version(before, description="new"), new_entry())
