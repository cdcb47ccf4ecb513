"""The instance's status, for its operator."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from api.organization import Organization
from packhook.core.overview import NODE_SILENCE, NodeStatus, Rates, total_rates
from packhook.telemetry.counts import NOTE_EVERY, RecentRates, Totals
from packhook.testing import ManualClock
from support.api_node import application

EVENT = {"event_code": "order.created", "data": {"id": "ord_1"}}
HOOK = {
    "event_code": "order.created",
    "endpoint": "https://myapp.packcloud.local/order-created",
    "secret": "q9NhjkjV9o",
}


async def test_the_status_of_an_instance(tmp_path: Path) -> None:
    """Show version, nodes, what is due by urgency and state, webhooks by state, and the node that responds."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        await api.post("/v1/organizations", json={"id": "acme"})
        await api.post("/v1/organizations/acme/webhooks", json=HOOK)
        await api.post("/v1/organizations/acme/webhooks", json={**HOOK, "paused": True})
        await api.post("/v1/organizations/acme/events", json=EVENT)
        found = (await api.get("/v1/status")).json()
    assert (found["database_answers"], found["nodes"], found["failing"]) == (True, [found["node"]], [])
    assert found["database"].startswith("sqlite:///")
    assert found["webhooks"] == {"active": 1, "failing": 0, "paused": 1, "disabled": 0}
    assert found["due"]["deliveries"] == 2
    assert found["due"]["by_urgency"] == {"first": 2, "retry": 0, "replay": 0}
    assert found["due"]["by_state"] == {"active": 1, "failing": 0, "paused": 1, "disabled": 0}
    assert found["due"]["oldest_since"] == "2024-08-02T09:00:00.000Z"
    assert (found["node"]["started_at"], found["node"]["draining"]) == ("2024-08-02T09:00:00.000Z", False)
    assert found["node"]["version"] == found["version"]
    assert set(found["rates"]) == set(found["node"]["rates"]) == {"1m", "5m"}


async def test_the_lists_of_all_organizations(api: httpx.AsyncClient) -> None:
    """Show webhooks and deliveries with their organization, page by page, secrets masked; refuse other filters."""
    made = [await Organization.create(api) for _ in range(2)]
    for one in made:
        await api.post(f"/v1/organizations/{one.id}/webhooks", json={**HOOK, "paused": True})
        await api.post(f"/v1/organizations/{one.id}/events", json=EVENT)
    webhooks = [item async for item in _pages(api, "/v1/webhooks?per_page=100")]
    mine = [item for item in webhooks if item["organization_id"] in {one.id for one in made}]
    assert [item["secret"] for item in mine] == ["q9Nh******"] * 2
    for one, webhook in zip(made, mine, strict=True):
        (delivery,) = (await api.get(f"/v1/deliveries?webhook_id={webhook['id']}")).json()["data"]
        assert (delivery["organization_id"], delivery["status"]) == (one.id, "pending")
    first = (await api.get("/v1/deliveries?per_page=1")).json()
    assert first["data"][0]["organization_id"] == made[1].id
    assert first["next"] is not None
    pending = (await api.get(f"/v1/deliveries?status=pending&webhook_id={mine[0]['id']}")).json()["data"]
    assert [item["webhook_id"] for item in pending] == [mine[0]["id"]]
    chosen = f"/v1/webhooks?organization_id={made[1].id}&state=paused&event_code=order.created"
    assert [item["id"] for item in (await api.get(chosen)).json()["data"]] == [mine[1]["id"]]
    wrong = await api.get("/v1/deliveries?status=lost&subject=ord_1")
    assert {error["field"] for error in wrong.json()["errors"]} == {"status", "subject"}
    wrong = await api.get("/v1/webhooks?state=bad&enabled=true")
    assert {error["field"] for error in wrong.json()["errors"]} == {"state", "enabled"}


async def _pages(api: httpx.AsyncClient, url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the items of all pages."""
    following: str | None = url
    while following is not None:
        page = (await api.get(following)).json()
        following = page["next"]
        for item in page["data"]:
            yield item


async def test_without_a_database_the_node_still_says_how_it_is(tmp_path: Path) -> None:
    """Respond with null for what only the database knows."""
    async with application(tmp_path, ManualClock()) as (api, service, store):
        await api.get("/v1/organizations")
        await store.close()
        service.is_draining = True
        found = (await api.get("/v1/status")).json()
    assert found["database_answers"] is False
    assert [found[name] for name in ("nodes", "rates", "due", "webhooks", "failing")] == [None] * 5
    assert found["node"]["draining"] is True


def test_rates_of_all_nodes_are_added() -> None:
    """A node that has said nothing for a while sends nothing, as far as anybody knows."""

    def node(name: str, seen_at: int, **rates: Rates) -> NodeStatus:
        return NodeStatus(name=name, started_at=0, seen_at=seen_at, rates=rates)

    one, half = (Rates(published=rate, attempts=2 * rate, delivered=rate) for rate in (1.0, 0.5))
    now = NODE_SILENCE
    nodes = [node("a", now, m=one), node("b", 0, m=half), node("c", -1, m=one), node("d", now)]
    assert total_rates(nodes, ("m",), now) == {"m": Rates(published=1.5, attempts=3.0, delivered=1.5)}


def test_rates_are_of_the_last_minutes() -> None:
    """Divide what happened since then by the time; a node that has just started has no longer time to divide by."""
    done = Totals(0, 0, 0)
    rates = RecentRates(lambda: done)
    assert rates.since(60, now=0.0) == (0, 0, 0)
    for second in range(0, 601, int(NOTE_EVERY)):
        done = Totals(second * 2, second * 3, second)
        rates.note(float(second))
    assert rates.since(60, now=600.0) == (2, 3, 1)
    done = Totals(1_500, 1_800, 600)  # 300 more in no time
    assert rates.since(300, now=600.0)[0] == round((1_500 - 590) / 305, 2)
