"""Test filters where events come in: fan-out and replays agree with the one function that decides."""

from contextlib import aclosing
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhook.core.errors import InvalidInput
from packhook.core.health import FilterErrors
from packhook.core.model import Event, Webhook
from packhook.core.replay import ReplayQuery, Selection
from packhook.core.subscription import matches, subscription_of
from packhook.store import matching
from packhook.store.base import Store
from packhook.store.fan_out import MAX_DELIVERIES_PER_CALL
from packhook.testing.clock import START
from store.values import ACME, FakeDispatcher, add_webhook, event, new_entry, next_version, publication, publish
from support.api_node import eventually

BRAND: Final = "data.brand == 'b1'"


def of_brand(brand: str) -> Event:
    """Return an event with this brand."""
    return event(data=msgspec.json.encode({"id": "ord_1", "brand": brand}))


async def counts(store: Store, *events: Event) -> list[int]:
    """Publish events in one call, and return how many deliveries each has."""
    receipts = await store.publish(publication(*events))
    stored = [len((await store.get_event(ACME, item.id))[1]) for item in events]
    assert [receipt.deliveries for receipt in receipts] == stored
    return stored


async def missing(store: Store, webhook: Webhook) -> set[str]:
    """Return the ids of the events that a replay of what is missing takes."""
    query = ReplayQuery(organization_id=ACME, webhook_id=webhook.id, selection=Selection.MISSING, since=0)
    async with aclosing(store.replays.match(query)) as found:
        return {item.id async for some in found for item in some.events}


async def test_events_that_do_not_match_create_no_delivery(store: Store, dispatcher: FakeDispatcher) -> None:
    """Each webhook has its own filter; a change counts for the next event. A delivery is leased as without one."""
    dispatcher.slots = 10
    hook = await add_webhook(store, filter=BRAND)
    await add_webhook(store, filter="data.brand.startsWith('b') && event.type == 'order.created'")
    await add_webhook(store, filter="size(data) == 3")
    assert await counts(store, of_brand("b1"), of_brand("b2"), of_brand("c")) == [2, 1, 0]
    assert len(dispatcher.enqueued) == 3
    await store.replace_webhook(next_version(hook, filter="data.brand == 'c'"), new_entry())
    assert await counts(store, of_brand("b1"), of_brand("b2"), of_brand("c")) == [1, 1, 1]
    assert (await store.get_webhook(ACME, hook.id)).filter == "data.brand == 'c'"


async def test_a_filter_without_a_value_counts_as_a_match_and_is_reported(store: Store) -> None:
    """Durably: how often since it was written, and the last event with the reason. Another filter begins anew."""
    hook = await add_webhook(store, filter=BRAND)
    first, second, other = event(), event(), of_brand("b1")

    async def reported() -> FilterErrors | None:
        return await store.filter_errors.of_webhook(ACME, hook.id)

    assert await reported() is None
    assert await counts(store, first) == [1]
    await eventually(reported, lambda found: found is not None and found.count == 1)
    assert await counts(store, second, other, of_brand("b2")) == [1, 1, 0]
    found = await eventually(reported, lambda found: found is not None and found.count == 2)
    reason = "there is no member `brand`"
    assert found == FilterErrors(count=2, since=START, last_at=START, event_id=second.id, message=reason)
    assert await store.filter_errors.of_webhook("other", hook.id) is None
    await store.replace_webhook(changed := next_version(hook, description="kept"), new_entry())
    assert await reported() == found
    await store.replace_webhook(next_version(changed, filter="data.brand > 1"), new_entry())
    assert await reported() is None


async def test_a_batch_is_bounded_by_the_deliveries_that_filters_leave(store: Store) -> None:
    """Not by those that there would be without them."""
    for number in range(30):
        await add_webhook(store, filter=f"data.brand == 'b{number}'")
    events = MAX_DELIVERIES_PER_CALL // 30 + 1
    receipts = await store.publish(publication(*[of_brand(f"b{number % 60}") for number in range(events)]))
    assert [receipt.deliveries for receipt in receipts] == [int(number % 60 < 30) for number in range(events)]


async def test_filters_that_are_too_much_work_are_not_evaluated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is refused; a single event goes to those whose filters had no turn."""
    monkeypatch.setattr(matching, "MAX_STEPS_PER_CALL", 40)
    hooks = [await add_webhook(store, filter=f"data.brand == 'b{number}'") for number in range(10)]
    with pytest.raises(InvalidInput) as refused:
        await store.publish(publication(*[of_brand("b0") for _ in range(10)]))
    assert [(error.field, error.code) for error in refused.value.errors] == [("/events", "too_much_filtering")]
    (delivered,) = await counts(store, of_brand("none"))
    assert 0 < delivered < len(hooks)
    last = max(hook.id for hook in hooks)
    await eventually(lambda: store.filter_errors.of_webhook(ACME, last), lambda found: found is not None)


VALUES: Final = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "b1", "ü", "b" * 300])
DATA: Final = st.fixed_dictionaries({"id": st.just("ord_1")}, optional={"a": VALUES, "b": VALUES | st.lists(VALUES)})
FILTERS: Final = st.sampled_from(
    [
        "",
        "data.a == 1",
        "data.a > 0",
        "has(data.b) && data.b.exists(x, x == 'b1')",
        "data.b.size() > 1",
        "data.a",
        "event.subject == 'ord_1' && data.a == data.b",
        "event.type == 'order.shipped' || data.a == null",
    ]
)
CODES: Final = st.sampled_from([(), ("*",), ("order.*", "webhook.*"), ("order.shipped", "order.created")])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_publishing_and_replay_agree_with_the_function_that_decides(store: Store, data: st.DataObject) -> None:
    """Whatever the events and the filters: who gets an event live also gets it by a replay of what is missing."""
    codes = st.sampled_from(["order.created", "order.shipped", "order.canceled"])
    drawn = data.draw(st.lists(st.tuples(codes, DATA), min_size=1, max_size=8))
    events = [event(event_code=code, data=msgspec.json.encode(body), subject="ord_1") for code, body in drawn]
    await store.publish(publication(*events))
    again = [
        msgspec.structs.replace(event(), event_code=item.event_code, data=item.data, subject="ord_1") for item in events
    ]
    chosen = data.draw(st.lists(st.tuples(FILTERS, CODES), min_size=1, max_size=4))
    hooks = [
        await add_webhook(store, event_code="order.shipped", filter=text, event_codes=codes) for text, codes in chosen
    ]
    expected = {hook.id: [matches(subscription_of(hook), item).matches for item in events] for hook in hooks}
    for hook in hooks:
        replayed = await missing(store, hook)
        assert [item.id in replayed for item in events] == expected[hook.id]
    await store.publish(publication(*again))
    got = [{found.webhook_id for found in (await store.get_event(ACME, item.id))[1]} for item in again]
    for hook in hooks:
        assert [hook.id in some for some in got] == expected[hook.id]
        await store.delete_webhook(ACME, hook.id, START, new_entry())


async def test_a_replay_reads_data_only_for_what_it_may_take(store: Store) -> None:
    """The newest of each subject is the newest that matches."""
    old = await publish(store, 3, data=b'{"id":"ord_1","brand":"b1"}', subject="ord_1")
    await publish(store, 2, data=b'{"id":"ord_1","brand":"b2"}', subject="ord_1")
    hook = await add_webhook(store, filter=BRAND)
    assert await missing(store, hook) == {item.id for item in old}
    query = ReplayQuery(organization_id=ACME, webhook_id=hook.id, selection=Selection.ALL, since=0, latest_only=True)
    async with aclosing(store.replays.match(query)) as found:
        taken = [item.id async for some in found for item in some.events]
    assert taken == [max(item.id for item in old)]
