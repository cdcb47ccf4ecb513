"""Test ``Idempotency-Key`` on every route that creates: once, with the first response, whatever has changed since."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import apsw
import httpx
import pytest

from api.organization import JSON, SUBSCRIPTION, Organization, body_of
from packhook.api.idempotency import REPLAYED
from packhook.api.publish.app import PublishHandler
from packhook.api.routes import ROUTES
from packhook.core.clock import DAY
from packhook.testing import ManualClock
from support.api_node import application

SINCE: Final = "2020-01-01T00:00:00Z"
BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST /organizations": {"name": "Shop", "retention": "90d"},
    "POST /event-types": {"description": "Lost", "schema": {"type": "object", "properties": {"b": {}, "a": {}}}},
    "POST /organizations/{organizationId}/api-keys": {"name": "shop", "scopes": ["events:read", "events:publish"]},
    "POST /organizations/{organizationId}/webhooks": {**SUBSCRIPTION, "headers": {"x-a": "1", "x-b": "2"}},
    "POST /organizations/{organizationId}/webhooks/{webhookId}/replays": {"select": "all", "since": SINCE},
    "POST /organizations/{organizationId}/portal-sessions": {"capabilities": ["view"], "expires_in": "1h"},
    "POST /organizations/{organizationId}/webhooks/{webhookId}/rotate-secret": {"overlap": "1h"},
}


def test_every_route_that_creates_takes_a_key() -> None:
    """A route that answers 201, starts a replay, publishes or makes a secret: nothing else makes something new."""
    taking = {f"{route.method} {route.path}" for route in ROUTES if route.takes_idempotency_key}
    publishing = {f"POST {route.path}" for route in ROUTES if isinstance(route.handler, PublishHandler)}
    creating = {f"{route.method} {route.path}" for route in ROUTES if route.status == 201}
    assert taking == {*BODIES, *publishing}
    assert creating <= taking


def with_key(key: str) -> dict[str, str]:
    """Return the header, and that of JSON."""
    return {"idempotency-key": key, **JSON}


def two_texts(body: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return JSON twice, written otherwise."""
    turned = {name: body[name] for name in reversed(body)}
    return json.dumps(body).encode(), json.dumps(turned, indent=1).encode()


async def asked(organization: Organization, name: str, webhook_id: str = "") -> tuple[str, dict[str, Any]]:
    """Return the path of a route, and a body that no other test sends."""
    path = name.removeprefix("POST ").format(organizationId=organization.id, webhookId=webhook_id)
    body = dict(BODIES[name])
    if name == "POST /event-types":
        body["code"] = f"parcel.n{uuid4().hex}"
    return f"/v1{path}", body


async def archive(organization: Organization, body: dict[str, Any]) -> None:
    """Archive the event type, so that other tests do not notice it."""
    if "code" in body:
        assert (await organization.api.delete(f"/v1/event-types/{body['code']}")).status_code == 204


async def count(organization: Organization) -> list[int]:
    """Return how many of everything there are; the audit trail has portal sessions."""
    own = (f"{organization.path}/{name}" for name in ("api-keys", "webhooks", "replays", "audit"))
    lists = ("/v1/organizations", "/v1/event-types", *own)
    pages = [body_of(await organization.api.get(path, params={"per_page": 100}), 200) for path in lists]
    return [len(page["data"]) for page in pages]


async def follow(organization: Organization, name: str, created: httpx.Response) -> None:
    """Check that ``Location`` is the URL of what was created; keys have no route to show one."""
    location, body = created.headers.get("location", ""), created.json()
    if "portal" in name:
        assert not location  # it is a secret, and would be in logs
    elif "rotate-secret" in name:
        assert body["secret"].startswith("whsec_")
    elif "api-keys" in name:
        assert location.endswith(f"/api-keys/{body['id']}")
    else:
        shown = body_of(await organization.api.get(location), 200)
        assert shown.get("id") == body.get("id")
        assert shown.get("code") == body.get("code")


@pytest.mark.parametrize("name", BODIES)
async def test_once(organization: Organization, name: str) -> None:
    """The first response again, byte for byte with its location and secrets, and a mark; another body is 409."""
    webhook = await organization.webhook()
    path, body = await asked(organization, name, webhook["id"])
    key = uuid4().hex
    first, again = [await organization.api.post(path, content=text, headers=with_key(key)) for text in two_texts(body)]
    counted = await count(organization)
    together = await asyncio.gather(*(organization.api.post(path, json=body, headers=with_key(key)) for _ in range(3)))
    assert {first.status_code} <= {200, 201, 202}
    await follow(organization, name, first)
    assert {(one.content, one.headers.get("location"), one.headers["content-type"]) for one in (again, *together)} == {
        (first.content, first.headers.get("location"), "application/json")
    }
    assert [one.headers.get(REPLAYED) for one in (first, again, *together)] == [None, *["true"] * 4]
    assert await count(organization) == counted
    await archive(organization, body)
    other = {**body, **({"select": "failed"} if "select" in body else {"name": "x"} if "name" in body else {})}
    other |= {"description": "other"} if "endpoint" in body or "code" in body else {}
    other |= {"expires_in": "2h"} if "expires_in" in body else {"overlap": "2h"} if "overlap" in body else {}
    refused = await organization.api.post(path, json=other, headers=with_key(key))
    assert body_of(refused, 409)["detail"] == "this Idempotency-Key came with another body before"
    assert await count(organization) == counted


@pytest.mark.parametrize("name", [name for name in BODIES if name != "POST /organizations"])
async def test_at_the_same_time(organization: Organization, name: str) -> None:
    """Requests with one key make one object; each gets the same response. Of replays two are matched at once."""
    webhook = await organization.webhook()
    path, body = await asked(organization, name, webhook["id"])
    before = await count(organization)
    key = uuid4().hex
    responses = await asyncio.gather(
        *(organization.api.post(path, json=body, headers=with_key(key)) for _ in range(2 if "since" in body else 10))
    )
    assert len({(one.status_code, one.content) for one in responses}) == 1
    assert sorted(str(one.headers.get(REPLAYED)) for one in responses) == ["None", *["true"] * (len(responses) - 1)]
    after = await count(organization)
    await archive(organization, body)
    alone = name == "POST /event-types" or "portal" in name or "rotate" in name  # with no audit entry, or nothing else
    made = 1 if alone else 2
    assert sum(after) - sum(before) == made


async def test_the_first_response_though_the_object_has_changed(organization: Organization) -> None:
    """Also after the object was deleted: it is what the client missed, not what is there now."""
    first = await organization.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("k"))
    webhook = body_of(first, 201)
    await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"description": "changed"})
    again = await organization.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("k"))
    await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
    once_more = await organization.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("k"))
    assert first.content == again.content == once_more.content
    assert body_of(await organization.ask("GET", "/webhooks"), 200)["data"] == []


async def test_whose_key_it_is(organization: Organization, another: Organization) -> None:
    """Another organization has its own; in one organization another API key is 409, for it may not see the secrets."""
    api_key = await organization.key("webhooks:write")
    first = body_of(await organization.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("k")), 201)
    other = body_of(await another.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("k")), 201)
    body_of(await organization.ask("POST", "/webhooks", api_key, json=SUBSCRIPTION, headers=with_key("k")), 409)
    assert other["id"] != first["id"]


async def test_a_refused_request_uses_no_key(organization: Organization) -> None:
    """What is wrong is said each time, and the right one is done with the same key."""
    for body, status in (({**SUBSCRIPTION, "secret": "short"}, 422), (SUBSCRIPTION, 201)):
        body_of(await organization.ask("POST", "/webhooks", json=body, headers=with_key("k")), status)
    text = await organization.ask("POST", "/webhooks", content=b"{", headers=with_key("l"))
    body_of(text, 400)
    refused = body_of(await organization.ask("POST", "/webhooks", json=SUBSCRIPTION, headers=with_key("a b")), 422)
    assert refused["errors"][0]["field"] == "Idempotency-Key"


async def test_for_24_hours(tmp_path: Path) -> None:
    """Then the key makes something new. Until then nothing that is shown once can be read in the database."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, _):
        organization = await Organization.create(api)
        body = {"scopes": ["events:read"]}
        first = body_of(await organization.ask("POST", "/api-keys", json=body, headers=with_key("k")), 201)
        clock.advance(DAY)
        assert body_of(await organization.ask("POST", "/api-keys", json=body, headers=with_key("k")), 201) == first
        stored = _stored(tmp_path)
        clock.advance(1)
        later = body_of(await organization.ask("POST", "/api-keys", json=body, headers=with_key("k")), 201)
    assert later["key"] != first["key"]
    assert len(stored) == 1
    assert not any(text.encode() in stored[0] for text in (first["key"], first["id"], "events:read"))


def _stored(folder: Path) -> list[bytes]:
    (path,) = folder.glob("*.db")
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    return [row[0] for row in db.execute("SELECT receipts FROM idempotency_keys WHERE of_change")]


async def test_what_changes_nothing_uses_no_key(organization: Organization) -> None:
    """A rotation to the newest secret is answered as it is, and its key may be used for another."""
    webhook = await organization.webhook()
    path = f"/webhooks/{webhook['id']}/rotate-secret"
    for body in ({"secret": webhook["secret"]}, {"secret": webhook["secret"]}, {"secret": "another-secret"}):
        response = await organization.ask("POST", path, json=body, headers=with_key("k"))
        assert body_of(response, 200)["secret"] == body["secret"]
        assert REPLAYED not in response.headers
