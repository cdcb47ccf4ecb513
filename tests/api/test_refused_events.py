"""Test the lists of events that were given up, and what is decided about them."""

from pathlib import Path

import pytest

from api.organization import EVENT, SUBSCRIPTION, Organization, body_of
from packhook.service import refused_events
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


async def test_all_of_them_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number in each call, of one organization or of all; the response says how to go on."""
    monkeypatch.setattr(refused_events, "SLICE", 2)
    monkeypatch.setattr(refused_events, "MAX_RETRIED", 2)
    async with application(tmp_path, ManualClock()) as (api, _, _):
        one, other = await Organization.create(api), await Organization.create(api)
        for organization in (one, one, one, other, other):
            receipt = body_of(await organization.ask("POST", "/events", json=EVENT), 202)
            give_up(tmp_path, organization.id, receipt["id"])
        early = {"refused_until": "1969-12-31T23:59:59.000Z"}
        assert body_of(await one.ask("POST", "/refused-events/retry", json=early), 202)["retried"] == 0
        first = body_of(await one.ask("POST", "/refused-events/retry"), 202)
        assert first == {"retried": 2, "has_more": True, "refused_until": "2024-08-02T09:00:00.000Z"}
        following = {"refused_until": first["refused_until"]}
        rest = body_of(await one.ask("POST", "/refused-events/retry", json=following), 202)
        assert (rest["retried"], rest["has_more"]) == (1, False)
        left = body_of(await api.get("/v1/refused-events"), 200)["data"]
        assert {item["organization_id"] for item in left} == {other.id}
        mine = body_of(await api.post("/v1/refused-events/retry", json={"organization_id": one.id}), 202)
        assert (mine["retried"], mine["has_more"]) == (0, False)
        assert body_of(await api.post("/v1/refused-events/retry"), 202)["retried"] == 2
        audit = body_of(await one.ask("GET", "/audit", params={"action": "event.retried"}), 200)["data"]
        assert len(audit) == 3
        wrong = body_of(await api.post("/v1/refused-events/retry", json={"refused_until": "soon", "x": 1}), 422)
        assert {error["field"] for error in wrong["errors"]} == {"/refused_until", "/x"}
