"""One small body can be much work: above a bound it is refused, below it others run between its slices."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from packhook.core.errors import InvalidInput
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT, SMALL_WEIGHT
from packhook.core.model import Idempotency, PublishRequest
from packhook.core.subscription import Subscription
from packhook.store.base import PageRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import MAX_DELIVERIES_PER_CALL, SLICE_ROWS, UNKNOWN_WEIGHT, Subscribers, weigh
from packhook.testing.clock import START
from store.values import ACME, FakeDispatcher, add_webhook, event, hash_of, made, publication


class CountedLanes(Sequence[str]):
    """Exclude every webhook, and count how often one was looked for: once for each delivery that is made."""

    def __init__(self) -> None:
        self.made = 0

    def __contains__(self, _: object) -> bool:
        self.made += 1
        return True

    def __len__(self) -> int:
        return 0

    def __getitem__(self, _: object) -> str:
        raise IndexError


class CountingDispatcher(FakeDispatcher):
    """Offer capacity for every delivery, and keep none."""

    def __init__(self) -> None:
        super().__init__(slots=1_000_000)
        self.lanes = CountedLanes()

    def capacity(self) -> Capacity:
        """Return a capacity that counts."""
        return msgspec.structs.replace(super().capacity(), excluded=self.lanes)


class Ticker:
    """Look at a count whenever the event loop is free, and keep the largest step."""

    def __init__(self, lanes: CountedLanes) -> None:
        self._lanes = lanes
        self._before = lanes.made
        self._is_running = True
        self.largest = 0
        self._tick()

    def _tick(self) -> None:
        self.largest = max(self.largest, self._lanes.made - self._before)
        self._before = self._lanes.made
        if self._is_running:
            asyncio.get_running_loop().call_soon(self._tick)

    def stop(self) -> None:
        """End it."""
        self._is_running = False


async def _subscribe(store: Store, count: int) -> None:
    await asyncio.gather(*(add_webhook(store) for _ in range(count)))


async def test_a_batch_with_too_many_deliveries_is_refused_in_words(store: Store) -> None:
    """And nothing of it is stored, nor made."""
    counting = CountingDispatcher()
    store.attach(counting)
    await _subscribe(store, 1_500)
    with pytest.raises(InvalidInput) as refused:
        await store.publish(publication(*(event() for _ in range(400))))
    (error,) = refused.value.errors
    assert (error.field, error.code) == ("/events", "too_many_deliveries")
    assert error.message == "this batch would make 600000 deliveries, at most 20000 per call: send smaller batches"
    assert (await store.list_events(ACME, PageRequest(limit=1))).items == ()
    assert counting.lanes.made == 0


async def test_others_run_between_the_slices_of_a_large_batch(store: Store) -> None:
    """Each event is stored with all its deliveries, and no slice is longer than the bound."""
    counting = CountingDispatcher()
    store.attach(counting)
    await _subscribe(store, 150)
    ticker = Ticker(counting.lanes)
    receipts = await store.publish(publication(*(event() for _ in range(100))))
    assert [receipt.deliveries for receipt in receipts] == [150] * 100
    assert len(await made(store, ACME, receipts)) == 150
    ticker.stop()
    assert counting.lanes.made == 15_000
    assert ticker.largest <= SLICE_ROWS + 150


async def test_one_event_for_many_webhooks_is_made_in_slices_too(store: Store) -> None:
    """A slice may end within an event."""
    counting = CountingDispatcher()
    store.attach(counting)
    await _subscribe(store, 1_200)
    ticker = Ticker(counting.lanes)
    (receipt,) = await store.publish(publication(event()))
    assert len(await made(store, ACME, [receipt])) == receipt.deliveries == 1_200
    ticker.stop()
    assert counting.lanes.made == 1_200
    assert ticker.largest <= SLICE_ROWS


async def test_a_repeated_call_gets_its_first_answer_although_it_would_be_refused_by_now(store: Store) -> None:
    """What was stored was stored, also where webhooks were created since."""
    key = Idempotency(key="key", fingerprint=hash_of("body"), stale_before=START - 1)
    call = PublishRequest(organization_id=ACME, events=tuple(event() for _ in range(50)), idempotency=key)
    first = await store.publish(call)
    await _subscribe(store, MAX_DELIVERIES_PER_CALL // 50 + 1)
    assert await store.publish(call) == first
    with pytest.raises(InvalidInput):
        await store.publish(msgspec.structs.replace(call, idempotency=msgspec.structs.replace(key, key="other")))


def _subscriptions(count: int) -> Iterator[Subscription]:
    for number in range(count):
        yield Subscription(f"wh_{number}", 1, "order.created", enabled=True, verification_pending=False)


def test_a_call_weighs_what_it_writes() -> None:
    """So a transaction takes few large calls, and few whose size is not known."""
    call = publication(event(), event(), event(event_code="order.shipped"))
    assert weigh(call, Subscribers(1, _subscriptions(70))) == 3 + 140
    assert weigh(call, None) == UNKNOWN_WEIGHT
    many = publication(*(event() for _ in range(SMALL_WEIGHT + 1)))
    assert weigh(many, None) > MAX_TRANSACTION_WEIGHT
