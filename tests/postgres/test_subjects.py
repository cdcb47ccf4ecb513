"""Test that PostgreSQL finds events by subject and reference at the same cost, however many others there are."""

import json
from typing import Any, Final

import asyncpg
import pytest

from packhook.core.model import Event
from packhook.store.base import DeliveryFilter, PageRequest
from packhook.store.postgres import history
from packhook.store.postgres.queries import Db
from packhook.store.postgres.store import PostgresStore
from packhook.store.rows import Row
from packhook.store.timeline import EventFilter
from packhook.testing.clock import START
from postgres.server import direct
from store.values import ACME, add_webhook, event, publication

FEW: Final = 2_000
MANY: Final = 40_000
PAGE: Final = PageRequest(limit=25, anchor="evt_f", backwards=False)
OTHER_ORDERS: Final = """
INSERT INTO events (organization_id, id, event_code, data, created_at, subject, reference_1, reference_2)
SELECT 'acme', 'evt_' || lpad(to_hex(n), 32, '0'), 'order.shipped', '{}', 0, 'ord_' || n % 20, 'A-' || n % 20, 'other'
FROM generate_series($1::bigint, $2::bigint - 1) AS n
"""


class CountingDb(Db):
    """Execute every statement twice: for its rows, and for the pages that it reads."""

    pages = 0

    async def fetch_all(self, statement: str, *values: object) -> list[Row]:
        """Return all rows, and count the pages."""
        plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
        found: dict[str, Any] = json.loads(plan)[0]["Plan"]
        self.pages += int(found["Shared Hit Blocks"]) + int(found["Shared Read Blocks"])
        return await super().fetch_all(statement, *values)


async def cost(connection: "asyncpg.Connection[Any]", where: EventFilter | DeliveryFilter) -> tuple[int, int]:
    """Return how many items a page has, and how many pages of the database it read."""
    db = CountingDb(connection)
    if isinstance(where, EventFilter):
        return len((await history.list_events(db, ACME, PAGE, where)).items), db.pages
    page = PageRequest(limit=25)
    return len((await history.list_deliveries(db, ACME, page, where)).items), db.pages


FILTERS: Final[dict[str, EventFilter | DeliveryFilter]] = {
    "events by subject": EventFilter(subject="ord_mine"),
    "events by reference": EventFilter(reference="B-1"),
    "events by event code": EventFilter(event_code="order.canceled"),
    "deliveries by subject": DeliveryFilter(subject="ord_mine"),
    "deliveries by reference": DeliveryFilter(reference="B-1"),
}


@pytest.mark.parametrize("analyzed", [True, False], ids=["analyzed", "not analyzed"])
async def test_a_look_up_costs_the_same_whatever_else_is_stored(node: PostgresStore, url: str, analyzed: bool) -> None:
    """Twenty times as many events of other orders: a tree may be a page higher, no more."""
    await add_webhook(node, event_code="order.canceled")
    mine: list[Event] = [
        event(event_code="order.canceled", subject="ord_mine", reference_2="B-1", created_at=START) for _ in range(3)
    ]
    await node.publish(publication(*mine))
    costs: list[dict[str, tuple[int, int]]] = []
    async with direct(url) as connection:
        await connection.execute("ALTER TABLE events SET (autovacuum_enabled = off)")
        for first, last in ((0, FEW), (FEW, MANY)):
            await connection.execute("SET search_path = packhook")
            await connection.execute(OTHER_ORDERS, first, last)
            if analyzed:
                await connection.execute("VACUUM ANALYZE")
            costs.append({name: await cost(connection, where) for name, where in FILTERS.items()})
    few, many = costs
    for name in FILTERS:
        assert (few[name][0], many[name][0]) == (3, 3), name
        assert many[name][1] <= few[name][1] + 20, (name, few[name], many[name])
