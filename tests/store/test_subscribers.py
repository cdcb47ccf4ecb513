"""Test the subscriber cache: an event goes to the webhooks that are subscribed now, whatever is cached."""

import asyncio

import pytest

from packhook.core.errors import NotFound
from packhook.store.base import DeliveryFilter, Store, WebhookFilter
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    event,
    failed,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
)


async def count(store: Store, organization_id: str = ACME) -> int:
    """Publish twice, check that the receipts and the stored deliveries agree, and return their number."""
    first, second = [(await store.publish(publication(event(organization_id))))[0] for _ in range(2)]
    _, deliveries = await store.get_event(organization_id, second.id)
    assert first.deliveries == second.deliveries == len(deliveries)
    return first.deliveries


async def test_every_change_of_a_webhook_counts_for_the_next_event(store: Store, dispatcher: FakeDispatcher) -> None:
    """Changes: created, edited, disabled by its owner, by a verdict and by retention, deleted; and those of others."""
    dispatcher.slots = 1_000
    hook = await add_webhook(store)
    assert (await count(store), await count(store, OTHER)) == (1, 0)
    more = await add_webhook(store)
    assert await count(store) == 2
    await store.replace_webhook(changed := next_version(hook, endpoint=f"{hook.endpoint}/2"), new_entry())
    dispatcher.enqueued.clear()
    assert await count(store) == 2
    assert {item.webhook_id: item.webhook_version for item in dispatcher.enqueued} == {hook.id: 2, more.id: 1}
    await store.replace_webhook(next_version(changed, enabled=False), new_entry())
    assert await count(store) == 1
    (mine, *_) = [item for item in dispatcher.enqueued if item.webhook_id == more.id]
    await store.record([failed(mine, START, disable_reason="gone")])
    assert await count(store) == 0
    long = await add_webhook(store)
    dispatcher.enqueued.clear()
    await publish(store, 10)
    assert await count(store) == 1
    await store.record([failed(item, START + number) for number, item in enumerate(dispatcher.enqueued)])
    assert await store.disable_failing(failing_for=1, now=START + 1_000, reason="fails") == (long.id,)
    assert await count(store) == 0
    last = await add_webhook(store)
    await add_webhook(store, event_code="order.shipped")
    assert (await count(store), await count(store, OTHER)) == (1, 0)
    await store.delete_webhook(ACME, last.id, START, new_entry())
    assert await count(store) == 0


async def test_a_deleted_organization_has_no_subscribers_and_a_new_one_has_them_at_once(store: Store) -> None:
    """This holds although its subscribers were cached by earlier events."""
    await add_webhook(store)
    assert (await count(store), await count(store, OTHER)) == (1, 0)
    for name in (ACME, OTHER):
        await store.delete_organization(name, START, new_entry())
        with pytest.raises(NotFound):
            await store.publish(publication(event(name)))
    with pytest.raises(NotFound):
        await store.publish(publication(event("new")))
    await store.create_organization(organization("new"), new_entry())
    assert await count(store, "new") == 0


async def test_a_change_of_event_codes_counts_for_the_next_event(store: Store) -> None:
    """Patterns take what they cover; none again: just the event code. An event in the outbox goes the same way."""
    hook = await add_webhook(store, event_code="order.shipped", event_codes=("order.*",))
    assert await count(store) == 1
    await store.replace_webhook(narrowed := next_version(hook, event_codes=("order.shipped", "webhook.*")), new_entry())
    assert await count(store) == 0
    await store.replace_webhook(wide := next_version(narrowed, event_codes=("*",)), new_entry())
    assert (await count(store), await count(store, OTHER)) == (1, 0)
    (listed,) = (await store.list_webhooks(ACME, ALL, WebhookFilter())).items
    assert listed.event_codes == ("*",)
    await store.replace_webhook(next_version(wide, event_codes=()), new_entry())
    assert await count(store) == 0


async def test_deliveries_are_found_by_event_code_although_the_webhook_has_another(store: Store) -> None:
    """Also after its patterns are gone."""
    hook = await add_webhook(store, event_code="order.shipped", event_codes=("order.*",))
    changed = await add_webhook(store, event_code="order.shipped")
    await store.replace_webhook(next_version(changed, event_codes=("order.created", "order.shipped")), new_entry())
    published = await publish(store)
    await store.replace_webhook(next_version(hook, event_codes=()), new_entry())
    found = await store.list_deliveries(ACME, ALL, DeliveryFilter(event_code="order.created"))
    assert sorted(item.webhook_id for item in found.items) == sorted((hook.id, changed.id))
    assert {item.event_id for item in found.items} == {published[0].id}


async def test_changes_and_events_at_the_same_time(store: Store) -> None:
    """Each event goes to the webhooks that exist when it is written: at least to those created before it."""
    for made in range(1, 15):
        await asyncio.gather(add_webhook(store), *(publish(store) for _ in range(5)))
        assert await count(store) == made
