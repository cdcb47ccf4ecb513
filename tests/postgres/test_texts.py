"""Test texts that PostgreSQL cannot hold: stored without the character, or not found, but never an error."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from packhook.core.errors import NotFound
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    add_webhook,
    claim,
    delivered,
    event,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
    webhook,
)

NUL = "a\0b"


async def test_words_with_a_nul_are_kept_without_it(node: PostgresStore) -> None:
    """Names and descriptions; the other words stay."""
    await node.create_organization(organization("c", name=NUL), new_entry())
    hook = await add_webhook(node, description=NUL)
    assert (await node.get_organization("c")).name == "a\N{REPLACEMENT CHARACTER}b"
    assert (await node.get_webhook(ACME, hook.id)).description == "a\N{REPLACEMENT CHARACTER}b"
    await node.replace_webhook(next_version(hook, description="c\0"), new_entry())
    assert (await node.get_webhook(ACME, hook.id)).description == "c\N{REPLACEMENT CHARACTER}"


async def test_a_header_value_with_a_nul_is_kept(node: PostgresStore) -> None:
    """It is escaped where it is stored."""
    hook = await add_webhook(node, headers={"x-odd": NUL})
    assert (await node.get_webhook(ACME, hook.id)).headers == {"x-odd": NUL}


QUERIES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "organization": lambda node: node.get_organization(NUL),
    "delete organization": lambda node: node.delete_organization(NUL, START, new_entry()),
    "webhook": lambda node: node.get_webhook(ACME, NUL),
    "replace webhook": lambda node: node.replace_webhook(webhook(id=NUL), new_entry()),
    "delete webhook": lambda node: node.delete_webhook(ACME, NUL, START, new_entry()),
    "create webhook": lambda node: node.create_webhook(webhook(NUL), new_entry()),
    "event": lambda node: node.get_event(ACME, NUL),
    "delivery": lambda node: node.get_delivery(ACME, NUL),
    "replay": lambda node: node.retry_delivery(ACME, NUL, START, new_entry()),
    "key": lambda node: node.revoke_api_key(ACME, NUL, START, new_entry()),
    "publish": lambda node: node.publish(publication(event(NUL))),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_nothing_has_a_name_with_a_nul(node: PostgresStore, query: Callable[[Store], Awaitable[object]]) -> None:
    """So it is not found."""
    with pytest.raises(NotFound):
        await query(node)


async def test_a_list_by_a_name_with_a_nul_is_empty(node: PostgresStore) -> None:
    """Also from there on."""
    await publish(node)
    assert (await node.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=NUL))).items == ()
    assert (await node.list_events(ACME, PageRequest(limit=5, anchor=NUL))).items == ()


async def test_what_one_cannot_store_does_not_keep_out_the_others(node: PostgresStore) -> None:
    """An event whose id no column can hold is refused alone, though it came together with others."""
    good = event()
    spoilt, kept = await asyncio.gather(
        *(node.publish(publication(item)) for item in (event(id=NUL), good)), return_exceptions=True
    )
    assert "invalid byte sequence" in str(spoilt)
    assert isinstance(kept, tuple)
    assert kept[0].id == good.id
    assert (await node.list_events(ACME, ALL)).items == (good,)


async def test_an_organization_may_be_called_null(node: PostgresStore) -> None:
    """It is published for, and what came of it recorded, as for any other."""
    await node.create_organization(organization("null"), new_entry())
    hook = await add_webhook(node, organization_id="null")
    made = event("null")
    await node.publish(publication(made))
    (leased,) = await claim(node, START)
    assert (leased.organization_id, leased.webhook_id) == ("null", hook.id)
    assert await node.record([delivered(leased, START)]) == [True]
    assert [item.number for item in (await node.get_delivery("null", leased.id))[1]] == [1]
