"""Test calls that make many deliveries: SQLite makes them in slices, so that others write in between."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.core.model import Event, Idempotency, Receipt, Webhook
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store
from packhook.store.refused_events import RefusedEventFilter
from packhook.store.sqlite.outbox import MAX_DELIVERIES
from packhook.testing.clock import START, ManualClock
from store.refusing import refuse_deliveries
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    event,
    hash_of,
    made,
    new_entry,
    next_version,
    organization,
    publication,
)
from support.api_node import eventually

WEBHOOKS = 30
EVENTS = 40
CHANGES = 15
"""Fewer than the tries of a call: each is undone by a change at most."""

NEVER = "data.brand_id == 'brd_none'"
ALWAYS = "!(data.brand_id == 'brd_none')"


async def subscribe(store: Store, count: int = WEBHOOKS, **changes: str) -> list[Webhook]:
    """Create webhooks at once."""
    return await asyncio.gather(*(add_webhook(store, **changes) for _ in range(count)))


def large(count: int = EVENTS) -> list[Event]:
    """Return the events of a large call."""
    return [event(data=b'{"id":"ord_1","brand_id":"brd_1"}') for _ in range(count)]


async def webhooks_of(store: Store, receipts: Sequence[Receipt]) -> list[Counter[str]]:
    """Return how many deliveries each webhook has of each event."""
    found = [await store.get_event(ACME, receipt.id) for receipt in receipts]
    return [Counter(delivery.webhook_id for delivery in deliveries) for _, deliveries in found]


async def test_each_webhook_gets_each_event_once(store: Store, dispatcher: FakeDispatcher) -> None:
    """In the order of the call; what its organization publishes next comes behind it, for each webhook."""
    dispatcher.slots = 10_000
    hooks = await subscribe(store)
    receipts = await store.publish(publication(*large()))
    assert [receipt.deliveries for receipt in receipts] == [WEBHOOKS] * EVENTS
    (next_one,) = await store.publish(publication(event()))
    assert await webhooks_of(store, receipts) == [Counter({hook.id: 1 for hook in hooks})] * EVENTS
    order = [receipt.id for receipt in receipts] + [next_one.id]
    for hook in hooks:
        assert [item.event_id for item in dispatcher.enqueued if item.webhook_id == hook.id] == order


async def test_others_write_between_the_slices(store: Store, dispatcher: FakeDispatcher) -> None:
    """Another organization's event waits for no more than the slice in progress, and the one that goes with it."""
    dispatcher.slots = 10_000
    await add_webhook(store, OTHER)
    await subscribe(store, 100)
    receipts = await store.publish(publication(*large()))
    before = len(dispatcher.enqueued)
    await store.publish(publication(event(OTHER)))
    await made(store, ACME, receipts)
    ahead = [item.organization_id for item in dispatcher.enqueued].index(OTHER) - before
    if before < 4_000:  # PostgreSQL makes all with the call: it has several writers
        assert ahead <= 2 * MAX_DELIVERIES
    assert len(dispatcher.enqueued) == 4_001


async def test_a_repeated_call_makes_nothing_twice(store: Store) -> None:
    """Also while the deliveries of the first one are being made."""
    await subscribe(store)
    key = Idempotency(key="key", fingerprint=hash_of("body"), stale_before=START - 1)
    first, again = await asyncio.gather(
        *(store.publish(publication(*large(), idempotency=key)) for _ in range(2)),
    )
    assert first == again == await store.publish(publication(*large(), idempotency=key))
    assert [len(found) for found in await webhooks_of(store, first)] == [WEBHOOKS] * EVENTS
    assert len((await store.list_events(ACME, ALL)).items) == EVENTS


async def test_filters_are_evaluated_as_of_one_moment(store: Store) -> None:
    """Webhooks that change meanwhile change it for all events of the call, or for none; and it ends."""
    hooks = await subscribe(store, filter=NEVER)
    changing = await subscribe(store, filter=ALWAYS)
    publishing = asyncio.ensure_future(store.publish(publication(*large())))
    for _ in range(CHANGES):
        changing[0] = next_version(changing[0], description=f"version {changing[0].version}")
        await store.replace_webhook(changing[0], new_entry())
    receipts = await publishing
    assert [receipt.deliveries for receipt in receipts] == [WEBHOOKS] * EVENTS
    await store.publish(publication(event()))
    assert await webhooks_of(store, receipts) == [Counter({hook.id: 1 for hook in changing})] * EVENTS
    assert {hook.filter for hook in hooks} == {NEVER}


async def test_one_event_with_filters_of_many_webhooks(store: Store) -> None:
    """They are evaluated once, before the transaction that stores the event."""
    hooks = await subscribe(store, MAX_TRANSACTION_WEIGHT + 1, filter=ALWAYS)
    (receipt,) = await store.publish(publication(*large(1)))
    assert receipt.deliveries == len(hooks)
    assert len(await made(store, ACME, [receipt])) == len(hooks)


async def test_a_refused_event_lets_the_next_call_begin(store: Store, database: str) -> None:
    """It is given up alone, where its deliveries are made after the call; PostgreSQL would refuse the call."""
    if not database.startswith("sqlite"):
        return
    await subscribe(store)
    await refuse_deliveries(database, "ord_refused")
    receipts = await store.publish(publication(*large(), event(subject="ord_refused")))
    await store.publish(publication(event()))
    assert [len(found) for found in await webhooks_of(store, receipts)] == [WEBHOOKS] * EVENTS + [0]
    (refused,) = (await store.refused_events.list(ALL, RefusedEventFilter())).items
    assert refused.id == receipts[-1].id


async def test_an_erased_event_lets_the_next_call_begin(store: Store) -> None:
    """Nothing more is made of it."""
    await subscribe(store)
    receipts = await store.publish(publication(*large()))
    for receipt in reversed(receipts):
        while (await store.erasure.erase(ACME, [receipt.id], START, [new_entry(id=f"aud_{receipt.id}")])).more:
            pass
    await store.publish(publication(event()))
    for receipt in receipts:
        found, deliveries = await store.get_event(ACME, receipt.id)
        assert found.erased_at == START
        assert {delivery.status.value for delivery in deliveries} <= {"canceled"}


async def test_a_cancelled_caller_does_not_undo_its_call(store: Store) -> None:
    """The events get all their deliveries."""
    await subscribe(store)
    await store.publish(publication(event()))
    publishing = asyncio.ensure_future(store.publish(publication(*large())))
    publishing.cancel()

    async def stored() -> list[str]:
        return [item.id for item in (await store.list_events(ACME, ALL)).items]

    event_ids = await eventually(stored, lambda found: len(found) == EVENTS + 1)
    await store.publish(publication(event()))
    assert {len((await store.get_event(ACME, id_))[1]) for id_ in event_ids} == {WEBHOOKS}


@pytest.mark.parametrize(("webhooks", "events", "slices"), [(WEBHOOKS, EVENTS, 3), (600, 1, 2)])
async def test_a_process_that_dies_between_slices_makes_the_others_at_its_next_start(
    tmp_path: Path, webhooks: int, events: int, slices: int
) -> None:
    """By ``kill -9`` after the call was answered; none is lost, none made twice, also within one event."""
    url = f"sqlite:///{tmp_path / 'packhook.db'}"
    store = open_store(Settings(database=url), ManualClock())
    await store.open()
    await store.create_organization(organization(ACME), new_entry())
    hooks = await subscribe(store, webhooks)
    await store.close()
    command = [sys.executable, str(Path(__file__).with_name("dying_process.py")), url, str(slices), str(events)]
    died = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, env={"PYTHONPATH": "tests"}, timeout=60
    )
    assert (died.returncode, died.stdout.split()) == (-signal.SIGKILL, [str(webhooks)] * events), died.stderr
    again = open_store(Settings(database=url), ManualClock())
    await again.open()
    try:
        left = (await again.list_events(ACME, ALL)).items
        assert len(left) == events
        await again.publish(publication(event()))
        found = [await again.get_event(ACME, item.id) for item in left]
    finally:
        await again.close()
    for _, deliveries in found:
        assert Counter(delivery.webhook_id for delivery in deliveries) == Counter({hook.id: 1 for hook in hooks})
