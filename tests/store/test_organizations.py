"""Test organizations and their keys, and the operator's key."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from packhook.core.errors import Conflict, NotFound
from packhook.store.base import DeliveryFilter, Page, PageRequest, Store, WebhookFilter
from packhook.store.usage import Usage
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    api_key,
    event,
    hash_of,
    new_entry,
    organization,
    publication,
    publish,
    webhook,
)

LATER = START + 1_000


async def test_an_organization_is_kept_as_it_was_created(empty_store: Store) -> None:
    """Any name."""
    acme = organization(name="Ácme & Söhne 💶 'quoted' \\ %s", created_at=LATER)
    await empty_store.create_organization(acme, new_entry())
    assert await empty_store.get_organization(ACME) == acme


async def test_an_unknown_organization_is_not_found(empty_store: Store) -> None:
    """Neither read nor deleted."""
    with pytest.raises(NotFound):
        await empty_store.get_organization(ACME)
    with pytest.raises(NotFound):
        await empty_store.delete_organization(ACME, LATER, new_entry())


async def test_an_organizations_id_is_taken_once(store: Store) -> None:
    """The second creation is a conflict and changes nothing."""
    with pytest.raises(Conflict):
        await store.create_organization(organization(name="Impostor"), new_entry())
    assert await store.get_organization(ACME) == organization()


async def test_an_organizations_id_stays_taken_when_it_is_deleted(store: Store) -> None:
    """Its events are still stored, and a new organization must not get them."""
    await store.delete_organization(ACME, LATER, new_entry())
    with pytest.raises(Conflict):
        await store.create_organization(organization(), new_entry())
    with pytest.raises(NotFound):
        await store.get_organization(ACME)


async def test_of_concurrent_creations_of_an_organization_one_succeeds(empty_store: Store) -> None:
    """The others get the conflict."""
    tries = [organization(name=str(number)) for number in range(5)]
    answers = await asyncio.gather(
        *(empty_store.create_organization(item, new_entry()) for item in tries), return_exceptions=True
    )
    (winner,) = (item for item, answer in zip(tries, answers, strict=True) if answer is None)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 4
    assert await empty_store.get_organization(ACME) == winner


async def test_organizations_are_listed_in_order_of_their_ids(empty_store: Store) -> None:
    """By code point, whatever the locale of the database."""
    names = ["b", "B", "a-1", "a_1", "a1", "_", "-", "0", "Z"]
    for name in names:
        await empty_store.create_organization(organization(name), new_entry())
    await empty_store.delete_organization("Z", LATER, new_entry())
    first = await empty_store.list_organizations(PageRequest(limit=5))
    rest = await empty_store.list_organizations(PageRequest(limit=5, anchor=first.items[-1].id))
    assert [item.id for item in (*first.items, *rest.items)] == sorted(set(names) - {"Z"})


async def test_deleting_an_organization_ends_its_keys_and_webhooks_at_once(store: Store) -> None:
    """Those of other organizations are unchanged."""
    await store.create_api_key(api_key(), hash_of("mine"), new_entry())
    theirs = api_key(OTHER)
    await store.create_api_key(theirs, hash_of("theirs"), new_entry())
    mine, kept = await add_webhook(store), await add_webhook(store, OTHER)
    await store.delete_organization(ACME, LATER, new_entry())
    assert await store.find_api_key(hash_of("mine")) is None
    assert await store.find_api_key(hash_of("theirs")) == (theirs, hash_of("theirs"))
    assert set(await store.webhook_states([mine.id, kept.id])) == {kept.id}
    assert await store.get_webhook(OTHER, kept.id) == kept
    with pytest.raises(NotFound):
        await store.delete_organization(ACME, LATER, new_entry())


async def test_deleting_an_organization_invalidates_each_webhook_in_the_engine(
    store: Store, dispatcher: FakeDispatcher
) -> None:
    """The engine must not send what it has queued for them."""
    mine = [await add_webhook(store), await add_webhook(store, event_code="order.shipped")]
    await add_webhook(store, OTHER)
    await store.delete_organization(ACME, LATER, new_entry())
    assert sorted(dispatcher.changes) == sorted(item.id for item in mine)


Query = Callable[[Store, str], Awaitable[object]]


@pytest.mark.parametrize(
    "query",
    [
        lambda store, name: store.list_api_keys(name, ALL),
        lambda store, name: store.list_webhooks(name, ALL, WebhookFilter()),
        lambda store, name: store.list_events(name, ALL),
        lambda store, name: store.list_deliveries(name, ALL, DeliveryFilter()),
        lambda store, name: store.create_api_key(api_key(name), hash_of("new"), new_entry()),
        lambda store, name: store.create_webhook(webhook(name), new_entry()),
        lambda store, name: store.publish(publication(event(name))),
    ],
    ids=["keys", "webhooks", "events", "deliveries", "create key", "create webhook", "publish"],
)
@pytest.mark.parametrize("name", ["unknown", OTHER])
async def test_every_query_of_an_unknown_organization_is_not_found(store: Store, query: Query, name: str) -> None:
    """It never existed, or it was deleted."""
    await store.delete_organization(OTHER, LATER, new_entry())
    with pytest.raises(NotFound):
        await query(store, name)


async def test_what_a_deleted_organization_had_is_not_found(store: Store) -> None:
    """By its id neither."""
    await add_webhook(store)
    (stored,) = await publish(store)
    _, (delivery,) = await store.get_event(ACME, stored.id)
    await store.delete_organization(ACME, LATER, new_entry())
    for query in (
        store.get_event(ACME, stored.id),
        store.get_delivery(ACME, delivery.id),
        store.retry_delivery(ACME, delivery.id, LATER, new_entry()),
    ):
        with pytest.raises(NotFound):
            await query


async def test_events_of_a_deleted_organization_go_with_retention(store: Store) -> None:
    """Not at once, and not later either."""
    await add_webhook(store)
    await publish(store)
    await store.delete_organization(ACME, LATER, new_entry())
    kept = await store.apply_retention(events_before=START, keys_before=START, audit_before=0, now=LATER, limit=10)
    gone = await store.apply_retention(events_before=LATER, keys_before=START, audit_before=0, now=LATER, limit=10)
    assert (kept.events, kept.canceled, gone.events) == (0, 1, 1)


async def test_a_key_is_found_by_its_hash_alone(store: Store) -> None:
    """With the hash as stored, for a comparison in constant time."""
    key = api_key(name="Kasse 1", scopes=("webhooks:read",), expires_at=LATER, last_used_at=START + 5)
    await store.create_api_key(key, hash_of("a"), new_entry())
    assert await store.find_api_key(hash_of("a")) == (key, hash_of("a"))
    assert await store.find_api_key(hash_of("b")) is None


async def test_keys_are_listed_oldest_first_without_the_revoked(store: Store) -> None:
    """Each organization its own."""
    keys = [api_key() for _ in range(4)]
    for key in (*keys, api_key(OTHER)):
        await store.create_api_key(key, hash_of(key.id), new_entry())
    await store.revoke_api_key(ACME, keys[1].id, LATER, new_entry())
    assert await store.list_api_keys(ACME, ALL) == Page(
        items=(keys[0], keys[2], keys[3]), has_prev=False, has_next=False
    )


async def test_a_revoked_key_is_not_found_any_more(store: Store) -> None:
    """By its hash, or to be revoked again."""
    key = api_key()
    await store.create_api_key(key, hash_of("a"), new_entry())
    await store.revoke_api_key(ACME, key.id, LATER, new_entry())
    assert await store.find_api_key(hash_of("a")) is None
    with pytest.raises(NotFound):
        await store.revoke_api_key(ACME, key.id, LATER, new_entry())


async def test_another_organizations_key_cannot_be_revoked(store: Store) -> None:
    """It is not found, and stays valid."""
    key = api_key()
    await store.create_api_key(key, hash_of("a"), new_entry())
    with pytest.raises(NotFound):
        await store.revoke_api_key(OTHER, key.id, LATER, new_entry())
    assert await store.find_api_key(hash_of("a")) == (key, hash_of("a"))


async def test_the_last_use_of_a_key_is_the_latest(store: Store) -> None:
    """In whatever order the uses are written down; an unknown key's is nothing."""
    key, unused = api_key(), api_key()
    await store.create_api_key(key, hash_of("a"), new_entry())
    await store.create_api_key(unused, hash_of("b"), new_entry())
    uses = [Usage(api_key_id=key.id, at=LATER), Usage(api_key_id=key.id, at=START), Usage(api_key_id="gone", at=START)]
    await store.record_key_usage(uses)
    await store.record_key_usage([Usage(api_key_id=key.id, at=LATER - 1)])
    await store.record_key_usage([])
    keys = await store.list_api_keys(ACME, ALL)
    assert [item.last_used_at for item in keys.items] == [LATER, None]


async def test_the_first_operator_key_stays(empty_store: Store) -> None:
    """Later and concurrent calls return the first one."""
    hashes = [hash_of(str(number)) for number in range(3)]
    first, *others = await asyncio.gather(*(empty_store.claim_operator_key(item, new_entry()) for item in hashes))
    assert first in hashes
    assert [*others, await empty_store.claim_operator_key(hash_of("late"), new_entry())] == [first] * 3
