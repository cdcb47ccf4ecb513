"""Test the audit trail over HTTP: who made each change, from where, and who may read it."""

from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.organization import SUBSCRIPTION, Json, Organization, body_of
from packhook.core.audit import Action
from packhook.testing import ManualClock, Receiver
from support.api_node import application

NEW: Final = "https://myapp.packcloud.local/new"
WITHOUT_KEY: Final = {"actor": "operator", "key_prefix": None, "source": "127.0.0.1", "reason": None}


async def trail(of: Organization, key: str = "", **query: Any) -> list[Json]:  # noqa: ANN401 any parameter
    """Return the organization's entries, oldest first."""
    page = body_of(await of.ask("GET", "/audit", key, params={"per_page": 100, **query}), 200)
    found: list[Json] = page["data"]
    return found[::-1]


async def all_of_it(of: Organization) -> list[Json]:
    """Return the entries as the operator reads them, oldest first, also of a deleted organization."""
    page = body_of(await of.api.get("/v1/audit", params={"organization_id": of.id, "per_page": 100}), 200)
    found: list[Json] = page["data"]
    return found[::-1]


def changed(entry: Json) -> dict[str, tuple[object, object]]:
    """Return the changed fields with their values before and after."""
    return {item["field"]: (item["before"], item["after"]) for item in entry["changes"]}


async def test_every_change_has_an_audit_entry(organization: Organization, receiver: Receiver) -> None:
    """Record every kind of change in order; after deletion the operator can still read the trail."""
    key = body_of(await organization.ask("POST", "/api-keys", json={"name": "shop", "scopes": ["events:read"]}), 201)
    hook = await organization.webhook(receiver.url)
    delivery = await organization.delivered((await organization.publish())["id"])
    body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 202)
    body_of(await organization.ask("POST", f"/webhooks/{hook['id']}/test"), 200)
    body_of(await organization.ask("PUT", f"/webhooks/{hook['id']}", json={"enabled": False}), 200)
    for path in (f"/webhooks/{hook['id']}", f"/api-keys/{key['id']}", ""):
        assert (await organization.ask("DELETE", path)).status_code == 204
    assert [(item["action"], item["object_id"]) for item in await all_of_it(organization)] == [
        ("organization.created", organization.id),
        ("api_key.created", key["id"]),
        ("webhook.created", hook["id"]),
        ("delivery.retried", delivery["id"]),
        ("webhook.tested", hook["id"]),
        ("webhook.updated", hook["id"]),
        ("webhook.deleted", hook["id"]),
        ("api_key.revoked", key["id"]),
        ("organization.deleted", organization.id),
    ]
    assert (await organization.ask("GET", "/audit")).status_code == 404


async def test_who_and_from_where(organization: Organization) -> None:
    """Record the API key, the address of the connection whatever the headers say, and the request id."""
    made = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["webhooks:write"]}), 201)
    headers = {"user-agent": "Mozilla " + "x" * 500, "x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    answer = await organization.ask("POST", "/webhooks", made["key"], json=SUBSCRIPTION, headers=headers)
    hook = body_of(answer, 201)
    entry = (await trail(organization, made["key"]))[-1]
    assert entry == {
        "id": entry["id"],
        "created_at": hook["created_at"],
        "organization_id": organization.id,
        "action": "webhook.created",
        "object_kind": "webhook",
        "object_id": hook["id"],
        "changes": entry["changes"],
        "reason": None,
        "actor": made["id"],
        "key_prefix": made["prefix"],
        "source": "127.0.0.1",
        "request_id": answer.headers["x-request-id"],
        "user_agent": ("Mozilla " + "x" * 500)[:200],
    }


async def test_fields_by_name_and_no_secret(organization: Organization) -> None:
    """Record values of endpoint, event code and enabled, other fields by name, and no unchanged field."""
    own: Json = {"description": "d", "headers": {"x-token": "very-secret"}, "rate_limit": 2.5, "timeout_seconds": 7.0}
    hook = await organization.webhook(secret="the-first-secret", **own)
    path = f"/webhooks/{hook['id']}"
    for change in (
        {"endpoint": NEW, "secret": "the-second-secret", "enabled": False, "description": "d"},
        {"headers": {"x-token": "other-secret"}, "timeout_seconds": 0, "rate_limit": 0, "retry_schedule": ["5s"]},
        {"enabled": False},
    ):
        body_of(await organization.ask("PUT", path, json=change), 200)
    created, moved, tuned, same = await trail(organization, object_id=hook["id"])
    assert changed(created) == {
        "event_code": (None, "order.created"),
        "endpoint": (None, SUBSCRIPTION["endpoint"]),
        "enabled": (None, True),
        **dict.fromkeys(("secret", *own), (None, None)),
    }
    assert changed(moved) == {
        "endpoint": (SUBSCRIPTION["endpoint"], NEW), "enabled": (True, False), "secret": (None, None),
    }  # fmt: skip
    assert changed(tuned) == dict.fromkeys(("headers", "rate_limit", "timeout_seconds", "retry_schedule"), (None, None))
    assert changed(same) == {}
    answer = await organization.ask("GET", "/audit")
    assert not any(secret in answer.text for secret in ("the-first", "the-second", "very-secret", "other-secret"))


async def test_a_new_key_is_audited_without_its_text(organization: Organization) -> None:
    """Record name, prefix, scopes and expiry of a new key."""
    asked = {"name": "shop", "scopes": ["events:publish", "events:read"], "expires_at": "2099-01-01T00:00:00Z"}
    made = body_of(await organization.ask("POST", "/api-keys", json=asked), 201)
    (entry,) = await trail(organization, action="api_key.created")
    assert changed(entry) == {
        "name": (None, "shop"),
        "prefix": (None, made["prefix"]),
        "scopes": (None, "events:publish events:read"),
        "expires_at": (None, "2099-01-01T00:00:00.000Z"),
    }
    assert made["key"] not in (await organization.ask("GET", "/audit")).text


async def test_what_a_key_may_read(organization: Organization) -> None:
    """Show an API key entries about webhooks and deliveries, without the operator's address."""
    key = await organization.key("webhooks:write")
    await organization.webhook()
    mine = body_of(await organization.ask("POST", "/webhooks", key, json=SUBSCRIPTION), 201)
    seen = await trail(organization, key)
    assert [(item["action"], item["source"], item["user_agent"] is None) for item in seen] == [
        ("webhook.created", None, True),
        ("webhook.created", "127.0.0.1", False),
    ]
    assert seen[-1]["object_id"] == mine["id"]
    assert [item["source"] for item in await trail(organization)] == ["127.0.0.1"] * 4
    assert await trail(organization, key, action="api_key.created") == []


async def test_a_refused_request_has_no_audit_entry(organization: Organization) -> None:
    """Record nothing when nothing was changed."""
    hook = await organization.webhook()
    before = await trail(organization)
    for method, path, body in (
        ("PUT", f"/webhooks/{hook['id']}", {"secret": "short"}),
        ("PUT", "/webhooks/wh_none", {"enabled": True}),
        ("DELETE", "/api-keys/key_none", None),
        ("POST", "/deliveries/dlv_none/retry", None),
        ("POST", "/webhooks/wh_none/test", None),
    ):
        assert (await organization.ask(method, path, json=body)).status_code in (404, 422)
    assert (await organization.api.post("/v1/organizations", json={"id": organization.id})).status_code == 409
    assert await trail(organization) == before


async def test_filters_and_pages(organization: Organization, another: Organization) -> None:
    """Filter and page like other lists; links keep the filters, and no other organization's entries appear."""
    await another.webhook()
    hooks = [await organization.webhook() for _ in range(3)]
    asked = {"per_page": 2, "action": "webhook.created", "actor": "operator", "since": hooks[0]["created_at"]}
    first = body_of(await organization.ask("GET", "/audit", params=asked), 200)
    second = body_of(await organization.api.get(first["next"]), 200)
    assert [item["object_id"] for item in first["data"] + second["data"]] == [hook["id"] for hook in hooks[::-1]]
    assert (first["prev"], second["next"], first["per_page"]) == (None, None, 2)
    assert body_of(await organization.api.get(second["prev"]), 200)["data"] == first["data"]
    assert await trail(organization, until=hooks[0]["created_at"], action="webhook.created") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "webhook.lost"),
        ("actor", "unknown!"),
        ("object_id", ""),
        ("since", "soon"),
        ("organization_id", "acme"),
    ],
)
async def test_wrong_filter(organization: Organization, name: str, value: str) -> None:
    """Refuse with 422 that names the parameter."""
    problem = body_of(await organization.ask("GET", "/audit", params={name: value}), 422)
    assert [error["field"] for error in problem["errors"]] == [name]


async def test_master_key(api: httpx.AsyncClient) -> None:
    """Record it without an organization, with the new key's id; only the operator reads the whole instance."""
    rotated = body_of(await api.post("/v1/master-key/rotate"), 200)
    (entry,) = body_of(await api.get("/v1/audit", params={"object_id": rotated["key_id"]}), 200)["data"]
    assert entry | WITHOUT_KEY == entry
    assert (entry["action"], entry["object_kind"], entry["organization_id"]) == (
        "master_key.rotated",
        "master_key",
        None,
    )


async def test_a_user_agent_that_cannot_be_printed(tmp_path: Path) -> None:
    """Replace control characters of the user agent; the change itself is recorded."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        odd = [(b"user-agent", b"odd\x85[31m\xadagent")]
        body_of(await api.post("/v1/organizations", json={"id": "acme"}, headers=odd), 201)
        (entry,) = body_of(await api.get("/v1/audit"), 200)["data"]
    assert entry["user_agent"] == "odd\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}agent"


def test_every_action_is_about_a_kind_of_thing() -> None:
    """Derive the object kind from the part before the dot."""
    assert {action.kind for action in Action} == {
        "organization", "api_key", "webhook", "event", "delivery", "replay", "master_key", "operator_key",
        "event_type", "portal_session", "operator_session",
    }  # fmt: skip
