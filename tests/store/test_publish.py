"""Test publishing: all or nothing, to every subscribed webhook, and directly to the engine if it has capacity."""

import asyncio
from collections.abc import Sequence

import pytest

from packhook.core.errors import NotFound, PackhookError, RowRefused
from packhook.core.model import (
    MAX_DATA_BYTES,
    Delivery,
    DeliveryStatus,
    Event,
    LeasedDelivery,
    Receipt,
    Urgency,
    Webhook,
)
from packhook.store.base import DeliveryFilter, Store
from packhook.testing.clock import START
from store.refusing import refuse
from store.values import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    FakeDispatcher,
    add_webhook,
    claim,
    claim_one,
    event,
    failed,
    new_entry,
    next_version,
    publication,
    publish,
)

LATER = START + 1_000
ANY = DeliveryFilter()

ODD_DATA = [
    b"{}",
    b'{ "a" : 1.0e2,\n\t"a": "\xc3\xa9\\u0000\\ud800" }',
    b'{"big":"' + b"x" * (MAX_DATA_BYTES - 10) + b'"}',
]


def receipt(of: Event, deliveries: int) -> Receipt:
    """Return the receipt of this event."""
    return Receipt(id=of.id, event_code=of.event_code, created_at=of.created_at, deliveries=deliveries)


def leased_to(dispatcher: FakeDispatcher, of: Event, to: Webhook, delivery: LeasedDelivery) -> LeasedDelivery:
    """Return the leased delivery of this event and webhook, with its stored id and the engine's lease."""
    return LeasedDelivery(
        id=delivery.id,
        event_id=of.id,
        webhook_id=to.id,
        webhook_version=to.version,
        organization_id=of.organization_id,
        event_code=of.event_code,
        event_created_at=of.created_at,
        data=of.data,
        attempt_count=0,
        attempts_before=0,
        urgency=Urgency.FIRST,
        lease=delivery.lease,
        lease_until=dispatcher.lease_until,
        rowid=delivery.rowid,
    )


async def test_an_event_is_stored_with_what_it_is_about(store: Store) -> None:
    """Its subject and up to three references; an event without any is stored, too."""
    known = event(subject="ord_1", reference_1="A-1", reference_2="Zürich", reference_3="x" * 255)
    plain = event()
    await store.publish(publication(known, plain))
    assert [(await store.get_event(ACME, of.id))[0] for of in (known, plain)] == [known, plain]


@pytest.mark.parametrize("data", ODD_DATA, ids=["empty", "odd", "largest"])
async def test_an_event_is_kept_byte_for_byte(store: Store, data: bytes) -> None:
    """For who reads it and for who sends it."""
    await add_webhook(store)
    stored = event(data=data)
    assert await store.publish(publication(stored)) == (receipt(stored, 1),)
    kept, _ = await store.get_event(ACME, stored.id)
    leased = await claim_one(store, START)
    assert kept == stored
    assert (leased.data, leased.event_created_at, leased.event_code) == (data, START, "order.created")


async def test_an_event_goes_to_every_webhook_that_wants_it(store: Store) -> None:
    """Enabled ones of this organization and this code; two of the same endpoint are two."""
    subscribed = [await add_webhook(store), await add_webhook(store)]
    await add_webhook(store, event_code="order.shipped")
    await add_webhook(store, enabled=False)
    await add_webhook(store, OTHER)
    gone = await add_webhook(store)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    stored = event()
    assert await store.publish(publication(stored)) == (receipt(stored, 2),)
    _, deliveries = await store.get_event(ACME, stored.id)
    assert sorted(item.webhook_id for item in deliveries) == sorted(item.id for item in subscribed)


async def test_a_webhook_counts_from_the_moment_it_was_changed(store: Store) -> None:
    """Its code, whether it is enabled, and the version that its deliveries carry."""
    stored = await add_webhook(store, enabled=False)
    (before,) = await publish(store)
    await store.replace_webhook(enabled := next_version(stored, enabled=True), new_entry())
    (created,) = await publish(store)
    await store.replace_webhook(moved := next_version(enabled, event_code="order.shipped"), new_entry())
    await publish(store)
    (shipped,) = await publish(store, event_code="order.shipped")
    leased = await claim(store, START)
    assert [(item.event_id, item.webhook_version) for item in leased] == [
        (created.id, moved.version),
        (shipped.id, moved.version),
    ]
    assert (await store.get_event(ACME, before.id))[1] == ()


async def test_an_event_without_subscribers_is_kept(store: Store) -> None:
    """It has no deliveries."""
    stored = event()
    assert await store.publish(publication(stored)) == (receipt(stored, 0),)
    assert await store.get_event(ACME, stored.id) == (stored, ())


async def test_a_new_delivery_is_pending_and_due_now(store: Store) -> None:
    """No engine is attached."""
    to = await add_webhook(store)
    stored = event()
    await store.publish(publication(stored))
    _, (delivery,) = await store.get_event(ACME, stored.id)
    assert delivery == Delivery(
        id=delivery.id,
        event_id=stored.id,
        webhook_id=to.id,
        organization_id=ACME,
        event_code="order.created",
        status=DeliveryStatus.PENDING,
        attempt_count=0,
        attempts_before=0,
        next_attempt_at=START,
        created_at=START,
        updated_at=START,
    )


async def test_a_batch_answers_in_its_order(store: Store) -> None:
    """A thousand events of several codes, each with its own count."""
    await add_webhook(store)
    events = [event(event_code=code) for code in ("order.created", "order.shipped") * 500]
    receipts = await store.publish(publication(*events))
    assert receipts == tuple(receipt(item, int(item.event_code == "order.created")) for item in events)
    assert len(await claim(store, START)) == 500


async def test_a_batch_is_all_or_nothing(store: Store, dispatcher: FakeDispatcher, database: str) -> None:
    """If one event cannot be stored, no event of the batch is stored or enqueued."""
    await add_webhook(store)
    (known,) = await publish(store)
    dispatcher.slots = 10
    batch = (event(), await refuse(database, event()), event())
    with pytest.raises(PackhookError):
        await store.publish(publication(*batch))
    assert (await store.list_events(ACME, ALL)).items == (known,)
    assert (dispatcher.enqueued, len(dispatcher.notified)) == ([], 1)


async def test_nothing_is_written_for_an_organization_that_is_not_there(
    store: Store, dispatcher: FakeDispatcher
) -> None:
    """Nothing is enqueued either."""
    dispatcher.slots = 10
    with pytest.raises(NotFound):
        await store.publish(publication(event("unknown")))
    assert (dispatcher.enqueued, dispatcher.notified) == ([], [])


async def test_an_enqueued_delivery_is_leased_and_complete(store: Store, dispatcher: FakeDispatcher) -> None:
    """It is enqueued before the publisher has its response; no claim gets it until the lease runs out."""
    to = await add_webhook(store, version=3)
    dispatcher.slots = 10
    events = await publish(store, 3)
    assert dispatcher.enqueued == [
        leased_to(dispatcher, of, to, got) for of, got in zip(events, dispatcher.enqueued, strict=True)
    ]
    assert dispatcher.notified == []
    assert {item.status for item in (await store.list_deliveries(ACME, ALL, ANY)).items} == {DeliveryStatus.SENDING}
    assert await claim(store, START + LEASE - 1) == ()
    again = await claim(store, START + LEASE)
    assert [item.event_id for item in again] == [item.id for item in events]


async def test_what_there_is_no_room_for_waits_and_the_engine_is_woken(
    store: Store, dispatcher: FakeDispatcher
) -> None:
    """Some may be enqueued while the others wait."""
    await add_webhook(store)
    dispatcher.slots = 2
    events = await publish(store, 5)
    waiting = await claim(store, START)
    assert [item.event_id for item in dispatcher.enqueued] == [item.id for item in events[:2]]
    assert [item.event_id for item in waiting] == [item.id for item in events[2:]]
    assert dispatcher.notified == [(frozenset({waiting[0].webhook_id}), START)]


async def test_what_is_for_a_closed_webhook_waits(store: Store, dispatcher: FakeDispatcher) -> None:
    """Others are enqueued meanwhile."""
    closed, free = await add_webhook(store), await add_webhook(store)
    dispatcher.slots, dispatcher.closed = 10, {closed.id}
    await publish(store)
    assert [item.webhook_id for item in dispatcher.enqueued] == [free.id]
    assert dispatcher.notified == [(frozenset({closed.id}), START)]
    assert (await claim_one(store, START)).webhook_id == closed.id


@pytest.mark.parametrize(("max_bytes", "handed_over"), [(0, 0), (99, 0), (100, 1), (299, 2), (300, 3)])
async def test_no_more_bytes_are_handed_over_than_there_is_room_for(
    store: Store, dispatcher: FakeDispatcher, max_bytes: int, handed_over: int
) -> None:
    """Three events of a hundred bytes each."""
    await add_webhook(store)
    dispatcher.slots, dispatcher.max_bytes = 10, max_bytes
    await publish(store, 3, data=b'{"a":"' + b"x" * 92 + b'"}')
    assert len(dispatcher.enqueued) == handed_over
    assert len(await claim(store, START)) == 3 - handed_over


async def test_what_was_handed_over_can_be_settled_and_tried_again(store: Store, dispatcher: FakeDispatcher) -> None:
    """Like what was claimed."""
    await add_webhook(store)
    dispatcher.slots = 1
    await publish(store)
    (leased,) = dispatcher.enqueued
    assert await store.record([failed(leased, START, next_attempt_at=LATER)]) == [True]
    assert await claim(store, LATER - 1) == ()
    assert (await claim_one(store, LATER)).attempt_count == 1


async def test_publishes_at_once_are_each_all_or_nothing(
    store: Store, dispatcher: FakeDispatcher, database: str
) -> None:
    """Those that fail do not affect the others, and each event is enqueued once."""
    to = await add_webhook(store)
    dispatcher.slots = 1_000
    good = [publication(event(), event()) for _ in range(20)]
    bad = [publication(event(), await refuse(database, event())), publication(event("unknown"))]
    answers = await asyncio.gather(
        *(store.publish(item) for item in (*good[:10], *bad, *good[10:])), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [tuple] * 10 + [RowRefused, NotFound] + [tuple] * 10
    expected = sorted(item.id for one in good for item in one.events)
    assert sorted(item.event_id for item in dispatcher.enqueued) == expected
    listed = await store.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=to.id))
    assert sorted(item.event_id for item in listed.items) == expected


async def test_publishes_at_once_share_the_room(store: Store, dispatcher: FakeDispatcher) -> None:
    """The enqueued deliveries are leased; the others wait."""
    await add_webhook(store)
    dispatcher.slots = 1
    await asyncio.gather(*(publish(store) for _ in range(10)))
    waiting = await claim(store, START)
    assert dispatcher.enqueued
    assert len(dispatcher.enqueued) + len(waiting) == 10


class BrokenDispatcher(FakeDispatcher):
    """Raise an error from ``enqueue``, which must never raise."""

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Raise."""
        raise RuntimeError(f"cannot take {len(leased)}")


async def test_a_fault_in_the_engine_harms_no_publish(store: Store) -> None:
    """A committed publish is acknowledged; the store continues, and the lease runs out."""
    await add_webhook(store)
    store.attach(BrokenDispatcher(slots=10))
    async with asyncio.timeout(30):
        events = [*await publish(store), *await publish(store)]
    assert [item.event_id for item in await claim(store, START + LEASE)] == [item.id for item in events]
