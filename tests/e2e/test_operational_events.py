"""Test that no operational event is lost or doubled where nodes are killed between a change and its event."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from packhook.testing import Receiver, Status
from store.dialects import DIALECTS
from support.api_node import eventually
from support.processes import SENDING, Node, running

ORDERS: Final = 30
KILLS: Final = 3
BASE: Final = "/v1/organizations/acme"


@asynccontextmanager
async def nodes(folder: Path, url: str, count: int) -> AsyncIterator[list[Node]]:
    """Run nodes on one database; what still runs at the end is killed."""
    async with AsyncExitStack() as stack:
        started = []
        for number in range(count):
            (own := folder / f"node-{number}").mkdir()
            settings = {**SENDING, "database": url, "master_keys": f"k1:{'A' * 43}="}
            node = Node(own, settings)
            stack.push_async_callback(_close, node)
            await node.start()
            started.append(node)
        yield started


async def _close(node: Node) -> None:
    for run in node.runs:
        await run.close()


async def create_webhooks(api: httpx.AsyncClient, broken: Receiver, alerts: Receiver) -> None:
    """Create an organization with a webhook that fails, and two that get operational events."""
    await api.post("/v1/organizations", json={"id": "acme"})
    for code, receiver in (("order.created", broken), ("delivery.exhausted", alerts), ("webhook.failing", alerts)):
        hook = {"event_code": code, "endpoint": receiver.url, "secret": "q9NhjkjV9o"}
        (await api.post(f"{BASE}/webhooks", json=hook)).raise_for_status()


async def all_of(api: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Return every item of a list."""
    items: list[dict[str, Any]] = []
    page = (await api.get(path, params={"per_page": 100})).raise_for_status().json()
    items += page["data"]
    while page["next"]:
        page = (await api.get(page["next"])).raise_for_status().json()
        items += page["data"]
    return items


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database of each dialect."""
    with DIALECTS[request.param](tmp_path) as url:
        yield url


async def test_nodes_are_killed_between_a_change_and_its_event(tmp_path: Path, database: str) -> None:
    """One ``delivery.exhausted`` for each exhausted delivery, and one delivery of it; each arrives."""
    count = 1 if database.startswith("sqlite") else 2
    async with Receiver(Status(500)) as broken, Receiver() as alerts, nodes(tmp_path, database, count) as cluster:
        async with cluster[-1].client() as api:
            await create_webhooks(api, broken, alerts)
            orders = [{"event_code": "order.created", "data": {"id": f"ord_{number}"}} for number in range(ORDERS)]
            (await api.post(f"{BASE}/events/batch", json={"events": orders})).raise_for_status()
        for number in range(KILLS):
            await broken.wait_for((number + 1) * ORDERS // KILLS, timeout_seconds=60)
            await cluster[number % count].kill()
            await cluster[number % count].start()
        async with cluster[-1].client() as api:

            async def deliveries_at_end() -> list[dict[str, Any]]:
                found = await all_of(api, f"{BASE}/deliveries")
                return found if all(item["status"] in ("exhausted", "delivered") for item in found) else []

            deliveries = await eventually(deliveries_at_end, lambda found: len(found) > 2 * ORDERS, timeout_seconds=120)
            events = await all_of(api, f"{BASE}/events")
    assert Counter(event["event_code"] for event in events) == {
        "order.created": ORDERS,
        "delivery.exhausted": ORDERS,
        "webhook.failing": 1,
    }
    exhausted = {item["id"] for item in deliveries if item["status"] == "exhausted"}
    assert len(exhausted) == ORDERS
    assert {event["data"].get("delivery_id") for event in events} - {None} == exhausted
    assert Counter(item["event_code"] for item in deliveries) == Counter(event["event_code"] for event in events)
    assert {json.loads(request.body)["id"] for request in alerts.received} == {
        event["id"] for event in events if event["event_code"] != "order.created"
    }


async def test_a_missing_operator_organization_is_logged_at_start(tmp_path: Path) -> None:
    """Until it is created; the node works all the same."""
    async with running(tmp_path, operator_organization="operations") as node, node.client() as api:
        assert "operator_organization_missing" in node.printed
        (await api.post("/v1/organizations", json={"id": "operations"})).raise_for_status()
        assert await node.stop() == 0
        await node.start()
        assert "operator_organization_missing" not in "\n".join(node.latest.printed)
