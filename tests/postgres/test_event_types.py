"""Test event types on several nodes: a change is known everywhere within a moment, and SQL publishes by them."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
from structlog.testing import capture_logs

from packhook.core.errors import Conflict
from packhook.core.model import EventType
from packhook.store.postgres.store import PostgresStore
from packhook.testing import ManualClock
from packhook.testing.clock import START
from postgres.server import direct, eventually
from store.values import ACME, ALL, add_webhook, new_entry, organization

LOST: Final = EventType(
    code="parcel.lost",
    schema={"type": "object", "properties": {"id": {"type": "string"}, "weight": {"type": "number"}}},
    subject_pointer="/id",
    reference_pointers=("/parcel/number",),
    created_at=START,
    updated_at=START,
)
PUBLISH: Final = "SELECT packhook.publish($1, $2, $3::json)"


@pytest.fixture
async def node(url: str) -> AsyncIterator[PostgresStore]:
    """Open a node with an organization."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    await store.create_organization(organization(ACME), new_entry())
    yield store
    await store.close()


@pytest.fixture
async def caller(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """Open the platform's own connection."""
    async with direct(url) as connection:
        yield connection


def knows(store: PostgresStore, version: int) -> Any:  # noqa: ANN401 what eventually takes
    """Return a question whether a node knows this version of the catalogue."""

    async def is_known() -> bool:
        return store.event_types.catalogue.version == version

    return is_known


async def test_every_node_learns_of_a_change(node: PostgresStore, other: PostgresStore) -> None:
    """By a notification; one that was lost costs a poll. A node that is behind cannot overwrite."""
    await node.event_types.save([LOST], [], 0)
    await eventually(knows(other, 1))
    assert other.event_types.catalogue.types[LOST.code].schema == LOST.schema
    await other._open.session.notifier.close()
    await node.event_types.save([LOST], [], 1)
    with pytest.raises(Conflict):
        await other.event_types.save([LOST], [], 1)
    await eventually(knows(other, 2))


async def test_an_event_from_sql_is_judged_by_its_type(
    node: PostgresStore, caller: "asyncpg.Connection[Any]", url: str
) -> None:
    """It gets the subject of its type; one that breaks the schema is given up alone, with the reason."""
    hook = await add_webhook(node, event_code=LOST.code)
    with pytest.raises(asyncpg.PostgresError, match=r"another event type, got 'parcel\.lost'"):
        await caller.fetchval(PUBLISH, ACME, LOST.code, "{}")
    await node.event_types.save([LOST], [], 0)
    with pytest.raises(asyncpg.PostgresError, match="data is a JSON object"):
        await caller.fetchval(PUBLISH, ACME, LOST.code, "[]")
    with capture_logs() as logs:
        async with caller.transaction():
            bad = await caller.fetchval(PUBLISH, ACME, LOST.code, '{"id": 1, "weight": "heavy"}')
            order = await caller.fetchval(PUBLISH, ACME, "order.created", '{"id": "ord_1", "updatable": 1}')
            good = await caller.fetchval(PUBLISH, ACME, LOST.code, json.dumps({"id": "p", "parcel": {"number": "7"}}))

        async def is_said_twice() -> bool:
            return len([line for line in logs if line["event"] == "outbox_event_refused"]) == 2

        await eventually(is_said_twice)
    found = {event.id: (event.subject, event.references) for event in (await node.list_events(ACME, ALL)).items}
    assert found == {bad: ("", ()), order: ("", ()), good: ("p", ("7",))}
    deliveries = {id_: (await node.get_event(ACME, id_))[1] for id_ in (bad, order, good)}
    assert [len(deliveries[id_]) for id_ in (bad, order)] == [0, 0]
    assert [delivery.webhook_id for delivery in deliveries[good]] == [hook.id]
    async with direct(url) as looking:
        rows = await looking.fetch("SELECT event_id, reason FROM outbox WHERE refused_at IS NOT NULL")
    reasons = {row["event_id"]: row["reason"] for row in rows}
    assert set(reasons) == {bad, order}
    assert "/id: 1 is not of type" in reasons[bad]
    assert "/weight: " in reasons[bad]
    assert "/updatable: " in reasons[order]


async def test_an_archived_type_is_no_code_for_sql(node: PostgresStore, caller: "asyncpg.Connection[Any]") -> None:
    """The statement fails, as for an unknown one."""
    archived = EventType(code="parcel.gone", archived_at=START, created_at=START, updated_at=START)
    await node.event_types.save([archived], [], 0)
    with pytest.raises(asyncpg.PostgresError, match=r"got 'parcel\.gone'"):
        await caller.fetchval(PUBLISH, ACME, archived.code, "{}")
