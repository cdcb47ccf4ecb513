"""Who wants an event is whoever wants it now, however much of that a store keeps in mind."""

import asyncio

import pytest

from packhook.core.errors import NotFound
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import (
    ACME,
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
    """To how many webhooks an event goes, said twice and stored so."""
    first, second = [(await store.publish(publication(event(organization_id))))[0] for _ in range(2)]
    _, deliveries = await store.get_event(organization_id, second.id)
    assert first.deliveries == second.deliveries == len(deliveries)
    return first.deliveries


async def test_every_change_of_a_webhook_counts_for_the_next_event(store: Store, dispatcher: FakeDispatcher) -> None:
    """Made, changed, disabled by its owner, by packhook for what it answered and for how long, deleted; and others'."""
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


async def test_an_organization_that_goes_wants_nothing_and_one_that_comes_is_there(store: Store) -> None:
    """At once, though events of it were published a moment ago."""
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


async def test_changes_and_events_at_the_same_time(store: Store) -> None:
    """Each event goes to those who are there when it is written: to as many as had been made, or to more."""
    for made in range(1, 15):
        await asyncio.gather(add_webhook(store), *(publish(store) for _ in range(5)))
        assert await count(store) == made
