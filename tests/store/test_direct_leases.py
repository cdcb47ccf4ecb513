"""Test deliveries that their publish leased: settled like any other, listed as sending, and never lost."""

from pathlib import Path

import pytest

from packhook.core.clock import MINUTE
from packhook.core.model import DeliveryStatus, Interruption, LeasedDelivery
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.open import open_store
from packhook.store.retention import RetentionBatch
from packhook.testing.clock import START, ManualClock
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
    failed,
    ids_of,
    new_entry,
    organization,
    publish,
    status_of,
)

SENDING = DeliveryFilter(status=DeliveryStatus.SENDING)


@pytest.fixture
async def leased_directly(store: Store, dispatcher: FakeDispatcher) -> LeasedDelivery:
    """Publish one event and return its delivery, leased to the dispatcher."""
    await add_webhook(store)
    dispatcher.slots = 1
    await publish(store)
    (leased,) = dispatcher.enqueued
    return leased


async def test_it_is_claimed_once_its_lease_has_run_out(store: Store, leased_directly: LeasedDelivery) -> None:
    """Not before; the claim says when to come again; its log says that an attempt may have been made."""
    early = await ask(store, START + LEASE - 1)
    assert (early.deliveries, early.next_due_at) == ((), START + LEASE)
    again = await claim_one(store, START + LEASE)
    assert (again.id, again.attempt_count, again.rowid) == (leased_directly.id, 0, leased_directly.rowid)
    assert await store.interruptions(ACME, leased_directly.id) == (Interruption(number=1, noticed_at=START + LEASE),)
    assert await store.record([delivered(leased_directly, START), delivered(again, START)]) == [False, True]


async def test_a_failure_waits_in_its_lane_as_any_other(store: Store, leased_directly: LeasedDelivery) -> None:
    """Until it is due again."""
    assert await store.record([failed(leased_directly, START, next_attempt_at=START + MINUTE)]) == [True]
    assert (await ask(store, START)).next_due_at == START + MINUTE
    assert (await claim_one(store, START + MINUTE)).id == leased_directly.id


async def test_a_released_delivery_is_due_now(store: Store, leased_directly: LeasedDelivery) -> None:
    """It is no longer leased directly."""
    await store.release([leased_directly], START)
    assert (await claim_one(store, START)).id == leased_directly.id
    assert await claim(store, START + LEASE - 1) == ()


async def test_a_hold_counts_though_nothing_else_waits(
    store: Store, dispatcher: FakeDispatcher, leased_directly: LeasedDelivery
) -> None:
    """The webhook has no lane yet when the verdict comes."""
    await store.record([failed(leased_directly, START, hold_until=START + MINUTE)])
    dispatcher.slots = 0
    await publish(store)
    assert await claim(store, START + MINUTE - 1) == ()
    assert len(await claim(store, START + MINUTE)) == 1


async def test_it_is_canceled_if_its_webhook_was_deleted_and_its_lease_has_run_out(
    store: Store, leased_directly: LeasedDelivery
) -> None:
    """Without a claim before."""
    await store.delete_webhook(ACME, leased_directly.webhook_id, START, new_entry())
    early, late = [
        await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=now, limit=10)
        for now in (START + LEASE - 1, START + LEASE)
    ]
    assert (early, late) == (RetentionBatch(), RetentionBatch(canceled=1))
    assert await status_of(store, leased_directly) is DeliveryStatus.CANCELED


async def test_it_is_listed_among_what_was_claimed(store: Store, dispatcher: FakeDispatcher) -> None:
    """In order, page by page both ways, only its organization's, and by every filter."""
    webhook = await add_webhook(store)
    await add_webhook(store, OTHER)
    for at in range(6):
        dispatcher.slots = at % 2
        await publish(store, created_at=START + at)
        await publish(store, 1, OTHER, created_at=START + at)
    claimed = [item for item in await claim(store, START + 6) if item.organization_id == ACME]
    expected = sorted(
        ids_of([*claimed, *(item for item in dispatcher.enqueued if item.organization_id == ACME)]), reverse=True
    )
    assert len(expected) == 6
    for where in (
        SENDING,
        DeliveryFilter(status=DeliveryStatus.SENDING, event_code="order.created"),
        DeliveryFilter(status=DeliveryStatus.SENDING, webhook_id=webhook.id),
        DeliveryFilter(status=DeliveryStatus.SENDING, since=START),
    ):
        listed = await store.list_deliveries(ACME, ALL, where)
        assert [item.id for item in listed.items] == expected
    first = await store.list_deliveries(ACME, PageRequest(limit=4), SENDING)
    second = await store.list_deliveries(ACME, PageRequest(limit=4, anchor=expected[3]), SENDING)
    back = await store.list_deliveries(ACME, PageRequest(limit=4, anchor=expected[4], backwards=True), SENDING)
    assert [[item.id for item in page.items] for page in (first, second, back)] == [
        expected[:4],
        expected[4:],
        expected[:4],
    ]
    assert [page.has_next for page in (first, second)] == [True, False]
    pending = await store.list_deliveries(ACME, ALL, DeliveryFilter(status=DeliveryStatus.PENDING))
    assert pending.items == ()


async def test_direct_leases_of_a_dead_process_are_due_when_its_file_is_opened(tmp_path: Path) -> None:
    """It is due at once: no other process can have it."""
    settings = Settings(database=f"sqlite:///{tmp_path}/packhook.db")
    first = open_store(settings, ManualClock())
    await first.open()
    first.attach(dispatcher := FakeDispatcher(slots=3))
    await first.create_organization(organization(ACME), new_entry())
    await add_webhook(first)
    await publish(first, 4)
    await first.record([delivered(dispatcher.enqueued[0], START)])
    await first.close()
    second = open_store(settings, ManualClock())
    await second.open()
    claimed = await claim(second, START)
    assert set(ids_of(dispatcher.enqueued[1:])) < set(ids_of(claimed))
    assert len(claimed) == 3
    for item in dispatcher.enqueued[1:]:
        assert await second.interruptions(ACME, item.id) == (Interruption(number=1, noticed_at=START),)
    await second.close()
