"""Idempotency keys: the same answer to the same request, a conflict for another, and an end."""

import asyncio
import hashlib

import pytest

from packhook.core.errors import Conflict, PackhookError
from packhook.core.model import Idempotency
from packhook.store.base import Store
from packhook.testing.clock import START
from store.refusing import refuse
from store.values import ACME, ALL, OTHER, FakeDispatcher, add_webhook, event, publication

LATER = START + 1_000


def key(body: bytes = b"body", *, name: str = "order-1", stale_before: int = START) -> Idempotency:
    """Return an ``Idempotency-Key`` of a request with this body."""
    return Idempotency(key=name, fingerprint=hashlib.sha256(body).digest(), stale_before=stale_before)


async def test_the_same_request_again_gets_the_first_answer(store: Store, dispatcher: FakeDispatcher) -> None:
    """It publishes nothing, whatever has changed since."""
    await add_webhook(store)
    first = await store.publish(publication(event(), event(), idempotency=key()))
    await add_webhook(store)
    dispatcher.slots = 10
    dispatcher.notified.clear()
    again = await store.publish(publication(event(created_at=LATER), event(created_at=LATER), idempotency=key()))
    assert again == first
    assert [item.id for item in (await store.list_events(ACME, ALL)).items] == [first[1].id, first[0].id]
    assert (dispatcher.enqueued, dispatcher.notified) == ([], [])


async def test_the_same_request_many_times_at_once_is_published_once(store: Store) -> None:
    """Every request gets the same response."""
    answers = await asyncio.gather(*(store.publish(publication(event(), idempotency=key())) for _ in range(5)))
    assert len(set(answers)) == 1
    assert len((await store.list_events(ACME, ALL)).items) == 1


async def test_another_request_with_the_same_key_is_a_conflict(store: Store) -> None:
    """It publishes nothing; the key still has the first response."""
    first = await store.publish(publication(event(), idempotency=key()))
    with pytest.raises(Conflict):
        await store.publish(publication(event(), idempotency=key(b"another")))
    assert await store.publish(publication(event(), idempotency=key())) == first
    assert len((await store.list_events(ACME, ALL)).items) == 1


async def test_a_key_is_stale_after_its_time(store: Store) -> None:
    """It counts up to that instant; then it may be used again, with any body."""
    await store.publish(publication(event(), idempotency=key()))
    with pytest.raises(Conflict):
        await store.publish(publication(event(), idempotency=key(b"new", stale_before=START)))
    reused = event(created_at=LATER)
    fresh = await store.publish(publication(reused, idempotency=key(b"new", stale_before=START + 1)))
    assert fresh[0].id == reused.id
    assert await store.publish(publication(event(), idempotency=key(b"new", stale_before=LATER))) == fresh
    with pytest.raises(Conflict):
        await store.publish(publication(event(), idempotency=key(stale_before=START + 1)))


async def test_keys_are_each_organizations_own(store: Store) -> None:
    """They differ by every character."""
    published = [
        await store.publish(publication(event(), idempotency=key(name=name))) for name in ("a", "A", "a!", "~" * 255)
    ]
    published.append(await store.publish(publication(event(OTHER), idempotency=key(b"other", name="a"))))
    assert len({receipt.id for (receipt,) in published}) == 5


async def test_a_publish_that_failed_leaves_its_key_free(store: Store, database: str) -> None:
    """The client can retry with it."""
    bad = await refuse(database, event())
    with pytest.raises(PackhookError):
        await store.publish(publication(event(), bad, idempotency=key()))
    good = event()
    assert (await store.publish(publication(good, idempotency=key())))[0].id == good.id
