"""Test opening and closing: writes are durable, waiting writes are finished, and a closed store refuses calls."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from packhook.core.errors import Unavailable
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock
from store.values import (
    ACME,
    ALL,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    event,
    new_entry,
    organization,
    publication,
    publish,
    webhook,
)


async def test_an_open_store_answers(empty_store: Store) -> None:
    """Also when it has nothing in it."""
    await empty_store.ping()


async def test_what_was_written_is_there_when_it_is_opened_again(database: str, clock: ManualClock) -> None:
    """All of it."""
    first = open_store(Settings(database=database), clock)
    await first.open()
    await first.create_organization(organization(), new_entry())
    to = await add_webhook(first)
    (stored,) = await publish(first)
    before = await first.get_event(ACME, stored.id)
    await first.close()
    second = open_store(Settings(database=database), clock)
    await second.open()
    await second.ping()
    assert await second.get_organization(ACME) == organization()
    assert await second.get_webhook(ACME, to.id) == to
    assert await second.get_event(ACME, stored.id) == before
    await second.close()


async def test_closing_finishes_the_writes_that_wait(database: str, clock: ManualClock) -> None:
    """Each gets its answer, and it holds."""
    first = open_store(Settings(database=database), clock)
    await first.open()
    await first.create_organization(organization(), new_entry())
    events = [event() for _ in range(50)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(first.publish(publication(item)) for item in events), first.close())
    second = open_store(Settings(database=database), clock)
    await second.open()
    assert [item.id for item in (await second.list_events(ACME, ALL)).items] == [item.id for item in reversed(events)]
    await second.close()


async def test_closing_twice_is_safe(database: str, clock: ManualClock) -> None:
    """So is closing what never was open."""
    never = open_store(Settings(database=database), clock)
    await never.close()
    once = open_store(Settings(database=database), clock)
    await once.open()
    await once.close()
    await once.close()


@pytest.mark.parametrize(
    "query",
    [
        lambda store: store.ping(),
        lambda store: store.get_organization(ACME),
        lambda store: store.create_webhook(webhook(), new_entry()),
        lambda store: store.publish(publication(event())),
        lambda store: store.record([]),
        lambda store: ask(store, START),
    ],
    ids=["ping", "get", "create", "publish", "record", "claim"],
)
@pytest.mark.parametrize("opened", [True, False], ids=["closed", "not opened"])
async def test_a_store_that_is_not_open_is_unavailable(
    database: str, clock: ManualClock, query: Callable[[Store], Awaitable[object]], opened: bool
) -> None:
    """To whatever is asked of it."""
    store = open_store(Settings(database=database), clock)
    if opened:
        await store.open()
        await store.close()
    with pytest.raises(Unavailable):
        await query(store)


async def test_without_an_engine_everything_waits(store: Store) -> None:
    """Nothing is lost: an engine that is attached later gets later deliveries."""
    await add_webhook(store)
    await publish(store)
    store.attach(late := FakeDispatcher(slots=10))
    (new,) = await publish(store)
    assert [item.event_id for item in late.enqueued] == [new.id]
    assert len(await claim(store, START)) == 1
