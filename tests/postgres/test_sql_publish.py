"""``packhook.publish()``: an event in the caller's own transaction, and all that follows from its commit."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from packhook.core.model import Event
from packhook.store.base import DeliveryFilter
from packhook.store.postgres.store import PostgresStore
from packhook.testing import ManualClock
from postgres.server import direct, eventually
from store.building import ACME, ALL, Hands, add_webhook, noted, organization

ORDER = '{"id": "ord_1",  "note": "Zürich \\u00fc", "total": 9.950}'
PUBLISH = "SELECT packhook.publish($1, $2, $3::json, $4)"


@pytest.fixture
async def node(url: str) -> AsyncIterator[PostgresStore]:
    """A node with an organization and two webhooks for created orders."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    await store.create_organization(organization(ACME), noted())
    for code in ("order.created", "order.created", "order.shipped"):
        await add_webhook(store, event_code=code)
    yield store
    await store.close()


@pytest.fixture
async def caller(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """The platform's own connection."""
    async with direct(url) as connection:
        yield connection


async def events_of(node: PostgresStore) -> tuple[Event, ...]:
    """The organization's events."""
    return (await node.list_events(ACME, ALL)).items


async def test_it_is_published_when_the_caller_commits(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """Byte for byte, with a delivery for each webhook that wants it, and every node hears of it."""
    node.attach(hands := Hands())
    async with caller.transaction():
        event_id = await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, None)
        assert await events_of(node) == ()
    (event,) = await events_of(node)
    assert re.fullmatch(r"evt_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", event_id)
    assert (event.id, event.event_code, event.data) == (event_id, "order.created", ORDER.encode())
    deliveries = (await node.list_deliveries(ACME, ALL, DeliveryFilter())).items
    assert [(each.event_id, each.status.value) for each in deliveries] == [(event_id, "pending")] * 2

    async def heard() -> bool:
        return bool(hands.woken)

    await eventually(heard)


async def test_it_rolls_back_with_the_caller(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """An order that was not taken is not told."""
    transaction = caller.transaction()
    await transaction.start()
    await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key")
    await transaction.rollback()
    assert await events_of(node) == ()
    assert await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key")


async def test_an_idempotency_key_publishes_once(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """The same again is the same event; another event under it is refused."""
    first, again = [await caller.fetchval(PUBLISH, ACME, "order.created", ORDER, "key") for _ in range(2)]
    assert first == again
    with pytest.raises(asyncpg.UniqueViolationError, match="another event before"):
        await caller.fetchval(PUBLISH, ACME, "order.created", '{"id": "ord_2"}', "key")
    assert len(await events_of(node)) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("nobody", "order.created", ORDER, None), "no organization 'nobody'"),
        ((None, "order.created", ORDER, None), "no organization NULL"),
        ((ACME, "orders.created", ORDER, None), "expected order.canceled, order.created or order.shipped"),
        ((ACME, None, ORDER, None), "got NULL"),
        ((ACME, "order.created", "[]", None), "data is a JSON object"),
        ((ACME, "order.created", None, None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": 1}', None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": ""}', None), "data is a JSON object"),
        ((ACME, "order.created", '{"id": "1", "x": "' + "." * 262_144 + '"}', None), "may have 262144 bytes"),
        ((ACME, "order.created", ORDER, "with space"), "visible ASCII"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_written(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", values: tuple[object, ...], words: str
) -> None:
    """As an error of the statement, so that the caller's transaction cannot go on by mistake."""
    with pytest.raises(asyncpg.PostgresError, match=words):
        await caller.fetchval(PUBLISH, *values)
    assert await events_of(node) == ()


async def test_ids_sort_by_time(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """Beside those that nodes make."""
    made = [await caller.fetchval(PUBLISH, ACME, "order.shipped", ORDER, None) for _ in range(20)]
    assert [each[:16] for each in made] == sorted(each[:16] for each in made)
    assert len(set(made)) == 20
    assert len(await events_of(node)) == 20


async def test_the_documented_sql_does_what_it_says(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """As it stands on the page: the grants for a role of the platform's, then an order and its event."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "publish-in-your-transaction.md"
    _, grants, order = re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    role = f"shop_{uuid4().hex}"
    await caller.execute("CREATE TABLE public.orders (id text, reference text, status text)")
    await caller.execute(f"CREATE ROLE {role}; GRANT INSERT ON public.orders TO {role}; {grants.replace('shop', role)}")
    await caller.execute(f"SET search_path = public; SET ROLE {role}")
    await caller.execute(order)
    await caller.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    (event,) = await events_of(node)
    assert event.data == b'{"id": "ord_1", "reference": "A-1", "status": "created"}'
