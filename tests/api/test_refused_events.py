"""Test the lists of events that were given up, and what is decided about them."""

from pathlib import Path

from api.organization import EVENT, SUBSCRIPTION, Organization, body_of
from packhook.testing import ManualClock
from store.refusing import give_up
from support.api_node import application, eventually


async def test_events_that_were_given_up(tmp_path: Path) -> None:
    """List them for the organization and the operator; a retry makes the deliveries, a discarded one has none."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        one, other = await Organization.create(api), await Organization.create(api)
        ids = []
        for organization in (one, one, other):
            receipt = body_of(await organization.ask("POST", "/events", json=EVENT), 202)
            give_up(tmp_path, organization.id, receipt["id"])
            ids.append(receipt["id"])
        body_of(await one.ask("POST", "/webhooks", json=SUBSCRIPTION), 201)
        found = body_of(await api.get("/v1/refused-events"), 200)["data"]
        assert [item["id"] for item in found] == ids[::-1]
        assert found[-1] == {
            "id": ids[0],
            "organization_id": one.id,
            "event_code": "order.created",
            "created_at": "2024-08-02T09:00:00.000Z",
            "refused_at": "1970-01-01T00:00:00.000Z",
            "reason": "it was refused",
        }
        only = body_of(await api.get("/v1/refused-events", params={"organization_id": other.id}), 200)["data"]
        assert [item["id"] for item in only] == ids[2:]
        assert body_of(await api.get("/v1/status"), 200)["refused_events"] == 3
        assert b"\npackhook_refused_events 3\n" in (await api.get("/metrics")).content.replace(b" 3.0", b" 3")
        first = body_of(await one.ask("GET", "/refused-events?per_page=1"), 200)
        rest = body_of(await api.get(first["next"]), 200)
        assert [item["id"] for page in (first, rest) for item in page["data"]] == [ids[1], ids[0]]

        assert body_of(await one.ask("POST", f"/refused-events/{ids[0]}/retry"), 202) == found[-1]
        assert len(await eventually(lambda: one.deliveries(ids[0]), bool)) == 1
        assert (await one.ask("DELETE", f"/refused-events/{ids[1]}")).status_code == 204
        assert body_of(await one.ask("GET", "/refused-events"), 200)["data"] == []
        assert [len(await one.deliveries(id_)) for id_ in ids[:2]] == [1, 0]
        for method, path in (("POST", f"/refused-events/{ids[1]}/retry"), ("DELETE", f"/refused-events/{ids[0]}")):
            assert "no refused event" in body_of(await one.ask(method, path), 404)["detail"]
        audit = body_of(await one.ask("GET", "/audit", params={"per_page": 2}), 200)["data"]
        assert [(item["action"], item["object_id"]) for item in audit] == [
            ("event.discarded", ids[1]),
            ("event.retried", ids[0]),
        ]
