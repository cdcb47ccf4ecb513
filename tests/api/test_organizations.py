"""Test organizations: created by the operator, listed, and deleted with all their access."""

from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from api.organization import EVENT, Organization, body_of

WRONG: Final[list[tuple[str, Any]]] = [
    *[("id", value) for value in ("", "a" * 65, "a b", "a.b", "a/b", "ü", "a\n", 1, None)],
    *[("name", value) for value in (1, None, "a" * 201, ["Acme"])],
    *[("retention", value) for value in (7, None, "soon", "59s", "40000d")],
]


async def test_create_with_a_chosen_id(api: httpx.AsyncClient) -> None:
    """Accept an id of up to 64 characters and a name, and return them on reading."""
    chosen = f"Shop_{uuid4().hex}-"[:64].ljust(64, "x")
    made = body_of(await api.post("/v1/organizations", json={"id": chosen, "name": "Acme Outfitters"}), 201)
    assert made == {"id": chosen, "name": "Acme Outfitters", "created_at": made["created_at"]}
    assert body_of(await api.get(f"/v1/organizations/{chosen}"), 200) == made


async def test_create_without_an_id(api: httpx.AsyncClient) -> None:
    """Make an id if none is given, and use it as the name."""
    made = body_of(await api.post("/v1/organizations", json={}), 201)
    assert made["id"].startswith("org_")
    assert made == {"id": made["id"], "name": made["id"], "created_at": made["created_at"]}


async def test_id_is_taken_once(api: httpx.AsyncClient, organization: Organization) -> None:
    """Refuse an id that is or was in use with a conflict: its events are still stored."""
    again = {"id": organization.id}
    assert (await api.post("/v1/organizations", json=again)).status_code == 409
    assert (await api.delete(organization.path)).status_code == 204
    problem = body_of(await api.post("/v1/organizations", json=again), 409)
    assert problem["detail"] == f"the organization id '{organization.id}' is, or was, in use"


@pytest.mark.parametrize(("field", "value"), WRONG)
async def test_wrong_value(api: httpx.AsyncClient, field: str, value: object) -> None:
    """Refuse at the field's pointer."""
    problem = body_of(await api.post("/v1/organizations", json={field: value}), 422)
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(f"/{field}", "invalid")]


async def test_list_in_order_of_ids(api: httpx.AsyncClient) -> None:
    """List each organization on exactly one page, ordered by id, without deleted ones."""
    made = [await Organization.create(api) for _ in range(4)]
    await api.delete(made[0].path)
    page = body_of(await api.get("/v1/organizations", params={"per_page": 3}), 200)
    listed = [item["id"] for item in page["data"]]
    while page["next"]:
        page = body_of(await api.get(page["next"]), 200)
        listed += [item["id"] for item in page["data"]]
    assert listed == sorted(set(listed))
    assert {item.id for item in made} & set(listed) == {item.id for item in made[1:]}


async def test_delete_ends_all_access(api: httpx.AsyncClient, organization: Organization) -> None:
    """Refuse its keys at once; nothing of it can be read or published any more."""
    key = await organization.key("webhooks:read", "events:publish")
    assert (await organization.ask("GET", "/webhooks", key)).status_code == 200
    answer = await api.delete(organization.path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await organization.ask("GET", "/webhooks", key)).status_code == 401
    assert (await organization.ask("POST", "/events", key, json=EVENT)).status_code == 401
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/webhooks", None),
        ("GET", "/events", None),
        ("GET", "/deliveries", None),
        ("GET", "/api-keys", None),
        ("POST", "/api-keys", {"scopes": ["events:read"]}),
        ("POST", "/events", EVENT),
        ("POST", "/events/batch", {"events": [EVENT]}),
    ):
        problem = body_of(await organization.ask(method, path, json=body), 404)
        assert problem["detail"] == f"no organization '{organization.id}'"


async def test_delete_ends_its_webhooks(api: httpx.AsyncClient, organization: Organization) -> None:
    """Delete its webhooks too."""
    webhook = await organization.webhook()
    await api.delete(organization.path)
    assert (await organization.ask("GET", f"/webhooks/{webhook['id']}")).status_code == 404


async def test_retention_of_an_organization(api: httpx.AsyncClient, organization: Organization) -> None:
    """Show it where it is set; change it without the name, and the name without it; audit both with their values."""
    assert "retention" not in body_of(await api.get(organization.path), 200)
    changed = body_of(await api.put(organization.path, json={"retention": "90d"}), 200)
    assert (changed["retention"], changed["name"]) == ("90d", organization.id)
    renamed = body_of(await api.put(organization.path, json={"name": "Acme"}), 200)
    assert renamed == {**changed, "name": "Acme"} == body_of(await api.get(organization.path), 200)
    assert "retention" not in body_of(await api.put(organization.path, json={"retention": ""}), 200)
    entries = body_of(await organization.ask("GET", "/audit", params={"action": "organization.updated"}), 200)["data"]
    assert [[tuple(change.values()) for change in entry["changes"]] for entry in entries] == [
        [("retention", "90d", None)],
        [("name", organization.id, "Acme")],
        [("retention", None, "90d")],
    ]
    problem = body_of(await api.put(organization.path, json={"retention": "1s", "name": ""}), 422)
    assert sorted(error["field"] for error in problem["errors"]) == ["/name", "/retention"]
