"""Test webhooks: stored as written, changed by one writer at a time, and current in the engine."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from packhook.core.clock import MINUTE, SECOND
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Webhook, WebhookState
from packhook.store.base import Store, WebhookFilter
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    next_version,
    publish,
    webhook,
)

LATER = START + 1_000

FULL = webhook(
    event_code="order.shipped",
    endpoint="https://myapp.packcloud.local:8443/hooks/%C3%A9?shop=1&all",
    secret="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    enabled=False,
    created_at=START - 5,
    updated_at=LATER,
    version=7,
    description="Ünïcode 📦, 'quotes' and \\ and %s",
    headers={"authorization": "Bearer abc", "x-b": "", "x-a": "é"},
    rate_limit=0.1,
    timeout=30_000,
    retry_schedule=(5_000, 300_000, 0),
    disabled_reason="no delivery has succeeded for 5 days",
)


@pytest.mark.parametrize("stored", [webhook(), FULL], ids=["plain", "every field"])
async def test_a_webhook_is_kept_as_it_was_created(store: Store, stored: Webhook) -> None:
    """Each field, for its owner and for the engine; headers in their order."""
    await store.create_webhook(stored, new_entry())
    kept = await store.get_webhook(ACME, stored.id)
    assert kept == stored
    assert list(kept.headers) == list(stored.headers)
    assert await store.webhook_states([stored.id]) == {stored.id: WebhookState(webhook=stored)}


async def test_an_organization_has_at_most_as_many_webhooks_as_the_limit(store: Store) -> None:
    """Refuse one more than the limit, also of several that are created at once; deleted ones do not count."""
    creations = [store.create_webhook(webhook(), new_entry(), 3) for _ in range(6)]
    results = await asyncio.gather(*creations, return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [Conflict] * 3
    kept = (await store.list_webhooks(ACME, ALL, WebhookFilter())).items
    assert len(kept) == 3
    await store.create_webhook(webhook(organization_id=OTHER), new_entry(), 1)
    await store.delete_webhook(ACME, kept[0].id, LATER, new_entry())
    await store.create_webhook(webhook(), new_entry(), 3)


async def test_webhooks_are_listed_oldest_first_and_by_what_is_asked(store: Store) -> None:
    """Of this organization, without the deleted."""
    a = await add_webhook(store)
    b = await add_webhook(store, event_code="order.shipped", enabled=False)
    gone = await add_webhook(store)
    c = await add_webhook(store, enabled=False)
    d = await add_webhook(store, event_code="order.shipped")
    await add_webhook(store, OTHER)
    await store.delete_webhook(ACME, gone.id, LATER, new_entry())
    expected = {
        WebhookFilter(): (a, b, c, d),
        WebhookFilter(event_code="order.shipped"): (b, d),
        WebhookFilter(enabled=True): (a, d),
        WebhookFilter(enabled=False): (b, c),
        WebhookFilter(event_code="order.created", enabled=False): (c,),
        WebhookFilter(event_code="order.canceled"): (),
    }
    found = {where: (await store.list_webhooks(ACME, ALL, where)).items for where in expected}
    assert found == expected


async def test_a_change_is_the_next_version(store: Store) -> None:
    """Every field that may change does."""
    before = await add_webhook(store)
    after = next_version(
        FULL, id=before.id, version=2, created_at=before.created_at, organization_id=before.organization_id
    )
    await store.replace_webhook(after, new_entry())
    assert await store.get_webhook(ACME, before.id) == after


@pytest.mark.parametrize("version", [1, 3])
async def test_a_change_of_an_old_version_is_a_conflict(store: Store, version: int) -> None:
    """It changes nothing."""
    before = await add_webhook(store)
    with pytest.raises(Conflict):
        await store.replace_webhook(
            next_version(before, version=version, endpoint="https://late.packcloud.local/"), new_entry()
        )
    assert await store.get_webhook(ACME, before.id) == before


async def test_of_concurrent_changes_of_a_webhook_one_succeeds(store: Store) -> None:
    """The others get a conflict."""
    before = await add_webhook(store)
    changes = [next_version(before, description=str(number)) for number in range(5)]
    answers = await asyncio.gather(
        *(store.replace_webhook(item, new_entry()) for item in changes), return_exceptions=True
    )
    (winner,) = (item for item, answer in zip(changes, answers, strict=True) if answer is None)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 4
    assert await store.get_webhook(ACME, before.id) == winner


Query = Callable[[Store, Webhook], Awaitable[object]]


@pytest.mark.parametrize(
    "query",
    [
        lambda store, hook: store.get_webhook(hook.organization_id, hook.id),
        lambda store, hook: store.replace_webhook(next_version(hook), new_entry()),
        lambda store, hook: store.delete_webhook(hook.organization_id, hook.id, LATER, new_entry()),
    ],
    ids=["get", "replace", "delete"],
)
@pytest.mark.parametrize("case", ["unknown", "another organization's", "deleted"])
async def test_an_unknown_webhook_is_not_found(store: Store, query: Query, case: str) -> None:
    """This holds for every call; another organization's webhook is unchanged."""
    stored = await add_webhook(store)
    asked = {
        "unknown": webhook(),
        "another organization's": next_version(stored, organization_id=OTHER, version=1),
        "deleted": stored,
    }[case]
    if case == "deleted":
        await store.delete_webhook(ACME, stored.id, LATER, new_entry())
    with pytest.raises(NotFound):
        await query(store, asked)
    left = (await store.list_webhooks(ACME, ALL, WebhookFilter())).items
    assert left == (() if case == "deleted" else (stored,))


async def test_targets_are_the_current_versions_of_those_that_are_there(store: Store) -> None:
    """Of any organization; the unknown and the deleted are missing."""
    mine, theirs, gone = await add_webhook(store), await add_webhook(store, OTHER), await add_webhook(store)
    await add_webhook(store)
    await store.replace_webhook(changed := next_version(mine, secret="another-secret"), new_entry())
    await store.delete_webhook(ACME, gone.id, LATER, new_entry())
    found = await store.webhook_states([mine.id, theirs.id, gone.id, "wh_unknown"])
    assert found == {mine.id: WebhookState(webhook=changed), theirs.id: WebhookState(webhook=theirs)}
    assert await store.webhook_states([]) == {}


async def test_webhooks_of_all_organizations_are_walked_in_order_of_their_ids(store: Store) -> None:
    """From the beginning or from any id on, without the deleted."""
    hooks = [await add_webhook(store, name) for name in (ACME, OTHER, ACME, OTHER, ACME)]
    gone = hooks.pop(1)
    await store.delete_webhook(OTHER, gone.id, LATER, new_entry())
    assert await store.iter_webhooks("", 10) == tuple(hooks)
    assert await store.iter_webhooks("", 2) == tuple(hooks[:2])
    assert await store.iter_webhooks(hooks[0].id, 2) == tuple(hooks[1:3])
    assert await store.iter_webhooks(gone.id, 10) == tuple(hooks[1:])
    assert await store.iter_webhooks(hooks[-1].id, 10) == ()


async def test_the_engine_hears_of_changes_and_deletions(store: Store, dispatcher: FakeDispatcher) -> None:
    """Once they are stored; not of those that were refused."""
    first, second = await add_webhook(store), await add_webhook(store)
    await store.replace_webhook(next_version(first), new_entry())
    await store.delete_webhook(ACME, second.id, LATER, new_entry())
    for refused in (
        store.replace_webhook(next_version(first), new_entry()),
        store.delete_webhook(ACME, second.id, LATER, new_entry()),
    ):
        with pytest.raises((Conflict, NotFound)):
            await refused
    assert dispatcher.changes == [first.id, second.id]


async def test_the_engine_is_woken_when_a_webhook_is_enabled(store: Store, dispatcher: FakeDispatcher) -> None:
    """For what waited; not for any other change."""
    stored = await add_webhook(store, enabled=False)
    await store.replace_webhook(described := next_version(stored, description="new"), new_entry())
    assert dispatcher.notified == []
    await store.replace_webhook(enabled := next_version(described, enabled=True, updated_at=LATER), new_entry())
    assert dispatcher.notified == [(frozenset({stored.id}), LATER)]
    await store.replace_webhook(next_version(enabled, description="newer"), new_entry())
    assert len(dispatcher.notified) == 1


async def test_enabling_ends_what_is_known_of_failures(store: Store) -> None:
    """Since when it failed or was gone, and the hold; another change ends none of it."""
    stored = await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    hold = START + 10 * MINUTE
    await store.record([failed(first, START, next_attempt_at=START + SECOND, hold_until=hold, gone_since=START)])
    await store.release([second], START)
    await store.replace_webhook(described := next_version(stored, description="new", updated_at=START), new_entry())
    failing = WebhookState(webhook=described, gone_since=START, failing_since=START, held_until=hold)
    assert await store.webhook_states([stored.id]) == {stored.id: failing}
    assert await claim(store, LATER) == ()
    await store.replace_webhook(disabled := next_version(described, enabled=False), new_entry())
    await store.replace_webhook(enabled := next_version(disabled, enabled=True, updated_at=LATER), new_entry())
    assert await store.webhook_states([stored.id]) == {stored.id: WebhookState(webhook=enabled)}
    assert {item.id for item in await claim(store, LATER)} == {first.id, second.id}


async def test_a_deleted_webhook_gets_no_more_events(store: Store) -> None:
    """A delivery that is being sent to it may still be settled."""
    stored = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.delete_webhook(ACME, stored.id, LATER, new_entry())
    await publish(store)
    assert await claim(store, LATER) == ()
    assert await store.record([delivered(leased, LATER)]) == [True]


async def test_a_version_is_deleted(store: Store) -> None:
    """Another version than the stored one is a conflict, and stays; an unknown webhook is not found."""
    stored = await add_webhook(store)
    await store.replace_webhook(changed := next_version(stored, description="new"), new_entry())
    with pytest.raises(Conflict):
        await store.delete_webhook(ACME, stored.id, LATER, new_entry(), stored.version)
    assert (await store.get_webhook(ACME, stored.id)).version == changed.version
    await store.delete_webhook(ACME, stored.id, LATER, new_entry(), changed.version)
    with pytest.raises(NotFound):
        await store.delete_webhook(ACME, stored.id, LATER, new_entry(), changed.version)
