"""Stored responses: with the change, or not at all; found again by the same request; and an end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace as replaced

from packhook.core import ids
from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound, PackhookError, RateLimited
from packhook.core.idempotency import AlreadyAnswered, StoredResponse
from packhook.core.model import Idempotency
from packhook.store.base import AuditFilter, Page, Store, WebhookFilter
from packhook.testing.clock import START
from store.values import ACME, ALL, OTHER, api_key, event, new_entry, organization, publication, webhook

Create = Callable[[Store, AuditEntry], Awaitable[None]]

CREATES: Final[dict[str, Create]] = {
    "organization": lambda store, entry: store.create_organization(organization(ids.organization_id()), entry),
    "key": lambda store, entry: store.create_api_key(api_key(), ids.api_key_id().encode(), entry),
    "webhook": lambda store, entry: store.create_webhook(webhook(), entry),
}


def response(content: bytes = b"sealed", **fields: object) -> StoredResponse:
    """Return a response of a request with this key and fingerprint."""
    values = {"organization_id": ACME, "key": "k", "fingerprint": b"f", "stale_before": START, **fields}
    return StoredResponse(content=content, **values)  # type: ignore[arg-type] # each has its type


def with_response(given: StoredResponse) -> AuditEntry:
    """Return an entry that brings a response."""
    return replaced(new_entry(), response=given)


async def created(store: Store) -> list[int]:
    """Return how many organizations, keys, webhooks and audit entries there are."""
    lists: list[Page[Any]] = [
        await store.list_organizations(ALL),
        await store.list_api_keys(ACME, ALL),
        await store.list_webhooks(ACME, ALL, WebhookFilter()),
        await store.list_audit(ALL, AuditFilter()),
    ]
    return [len(found.items) for found in lists]


@pytest.mark.parametrize("create", CREATES.values(), ids=CREATES)
async def test_a_change_stores_its_response(store: Store, create: Create) -> None:
    """It is found by key and fingerprint; of many requests at once one makes the change, the others change nothing."""
    before = await created(store)
    tries = [create(store, with_response(response(b"%d" % number))) for number in range(3)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert [isinstance(one, AlreadyAnswered) for one in done].count(True) == 2
    first = done.index(None)
    assert await store.responses.find(ACME, "k", b"f", START) == b"%d" % first
    after = await created(store)
    assert sum(after) - sum(before) == 2  # the object and its entry


async def test_others_in_the_same_transaction_are_written(store: Store) -> None:
    """A request that was answered before undoes nothing but itself."""
    await store.create_webhook(webhook(), with_response(response()))
    made = [webhook() for _ in range(4)]
    entries = [new_entry(), with_response(response()), with_response(response(key="other")), new_entry()]
    done = await asyncio.gather(*map(store.create_webhook, made, entries), return_exceptions=True)
    assert [type(one) for one in done] == [type(None), AlreadyAnswered, type(None), type(None)]
    listed = {one.id for one in (await store.list_webhooks(ACME, ALL, WebhookFilter())).items}
    assert {one.id for one in made} & listed == {one.id for one in (made[0], *made[2:])}


async def test_a_refused_change_leaves_its_key_free(store: Store) -> None:
    """Neither the response nor the change is stored."""
    await store.create_webhook(webhook(), new_entry())
    with pytest.raises(Conflict):
        await store.create_webhook(webhook(), with_response(response()), 1)
    with pytest.raises(NotFound):
        await store.create_webhook(webhook("unknown"), with_response(response(organization_id="unknown")))
    assert await store.responses.find(ACME, "k", b"f", START) is None
    assert await store.responses.find("unknown", "k", b"f", START) is None


async def test_another_request_with_the_same_key_is_a_conflict(store: Store) -> None:
    """Also after or before a publish with it; another organization's key is another key."""
    await store.create_webhook(webhook(), with_response(response()))
    with pytest.raises(Conflict):
        await store.responses.find(ACME, "k", b"g", START)
    assert await store.responses.find(OTHER, "k", b"g", START) is None
    with pytest.raises(Conflict):
        await store.publish(publication(event(), idempotency=_key("k")))
    await store.publish(publication(event(), idempotency=_key("p")))
    with pytest.raises(Conflict):
        await store.responses.find(ACME, "p", b"f", START)
    with pytest.raises(AlreadyAnswered):
        await store.create_webhook(webhook(), with_response(response(key="p")))


async def test_a_key_is_free_again_after_its_time(store: Store) -> None:
    """Then the next request has it; retention deletes it."""
    await store.create_webhook(webhook(), with_response(response(b"old")))
    assert await store.responses.find(ACME, "k", b"f", START + 1) is None
    later = replaced(with_response(response(b"new", fingerprint=b"g", stale_before=START + 1)), created_at=START + 1)
    await store.create_webhook(webhook(), later)
    assert await store.responses.find(ACME, "k", b"g", START + 1) == b"new"
    values = {"events_before": 0, "audit_before": 0, "keys_before": START + 2}
    assert (await store.apply_retention(**values, now=START + 2, limit=100)).idempotency_keys == 1
    assert await store.responses.find(ACME, "k", b"f", START) is None


async def test_an_organization_has_a_bound_of_stored_responses(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key is refused then; known ones are found, publishes do not count, and others have their own bound."""
    for dialect in ("sqlite", "postgres"):
        monkeypatch.setattr(f"packhook.store.{dialect}.responses.MAX_STORED_RESPONSES", 2)
    await store.publish(publication(event(), idempotency=_key("p")))
    for key in ("a", "b"):
        assert await store.responses.find(ACME, key, b"f", START) is None
        await store.create_webhook(webhook(), with_response(response(key=key)))
    with pytest.raises(RateLimited):
        await store.responses.find(ACME, "c", b"f", START)
    assert await store.responses.find(ACME, "b", b"f", START) == b"sealed"
    assert await store.responses.find(OTHER, "c", b"f", START) is None
    with pytest.raises(PackhookError):
        await store.responses.find(ACME, "b", b"g", START)


async def test_a_publish_takes_the_key_of_a_stale_response(store: Store) -> None:
    """It no longer counts as a response to a change."""
    await store.create_webhook(webhook(), with_response(response()))
    (receipt,) = await store.publish(publication(event(created_at=START + 5), idempotency=_key("k", START + 5)))
    again = await store.publish(publication(event(created_at=START + 5), idempotency=_key("k", START + 5)))
    assert again == (receipt,)


def _key(name: str, stale_before: int = START) -> Idempotency:
    return Idempotency(key=name, fingerprint=b"published", stale_before=stale_before)
