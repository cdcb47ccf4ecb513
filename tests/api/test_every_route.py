"""Test access to every route of the table: scopes, and isolation of organizations."""

from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from api.organization import EVENT, SUBSCRIPTION, Json, Organization, body_of
from packhook.api.route import BASE, Route
from packhook.api.routes import ROUTES
from packhook.api.schemas.event_types import EventTypeChoice, EventTypeCreate, EventTypeImport, EventTypeUpdate
from packhook.api.schemas.events import ErasureRequest, EventBatch, EventPublish
from packhook.api.schemas.matching import MatchRequest
from packhook.api.schemas.organizations import ApiKeyCreate, OrganizationCreate, OrganizationUpdate
from packhook.api.schemas.portal import PortalSessionCreate
from packhook.api.schemas.refused_events import RefusedEventsOfAllRetry, RefusedEventsRetry
from packhook.api.schemas.replays import ReplayCreate
from packhook.api.schemas.webhooks import SecretRotate, WebhookCreate, WebhookUpdate
from packhook.core.model import SCOPES
from packhook.service.authentication import ANY_KEY, INCLUDED_IN
from packhook.testing import Receiver
from store.refusing import give_up
from support.api_node import bearer, eventually

REPLAY: Final = {"select": "all", "since": "2020-01-01T00:00:00Z"}
BODIES: Final[dict[type[Any], dict[str, Any]]] = {
    OrganizationCreate: {},
    OrganizationUpdate: {"retention": "90d"},
    ApiKeyCreate: {"scopes": ["events:read"]},
    WebhookCreate: SUBSCRIPTION,
    WebhookUpdate: {"enabled": True},
    SecretRotate: {"overlap": "1h"},
    ErasureRequest: {"subject": "ord_1"},
    RefusedEventsRetry: {},
    RefusedEventsOfAllRetry: {},
    EventPublish: EVENT,
    EventBatch: {"events": [EVENT]},
    ReplayCreate: REPLAY,
    PortalSessionCreate: {},
    EventTypeUpdate: {"description": "Lost"},
    EventTypeImport: {"event_types": [{"code": "parcel.lost"}], "preview": True},
    EventTypeChoice: {"event_code": "order.shipped"},
    MatchRequest: EVENT,
}
UNREACHABLE: Final = "http://127.0.0.1:9/never"
UNKNOWN_IDS: Final = {
    "organizationId": "unknown", "webhookId": "wh_0", "eventId": "evt_0", "deliveryId": "dlv_0",
    "replayId": "rpl_0", "keyId": "key_0", "code": "order.created",
}  # fmt: skip
SCOPE_OF: Final = {
    "GET /event-types": ANY_KEY,
    "GET /event-types/{code}": ANY_KEY,
    "POST /event-types": None,
    "POST /event-types/import": None,
    "PUT /event-types/{code}": None,
    "DELETE /event-types/{code}": None,
    "POST /master-key/rotate": None,
    "POST /organizations": None,
    "GET /organizations": None,
    "GET /organizations/{organizationId}": None,
    "PUT /organizations/{organizationId}": None,
    "DELETE /organizations/{organizationId}": None,
    "POST /organizations/{organizationId}/api-keys": None,
    "GET /organizations/{organizationId}/api-keys": None,
    "DELETE /organizations/{organizationId}/api-keys/{keyId}": None,
    "POST /organizations/{organizationId}/webhooks": "webhooks:write",
    "GET /organizations/{organizationId}/webhooks": "webhooks:read",
    "GET /organizations/{organizationId}/webhooks/{webhookId}": "webhooks:read",
    "PUT /organizations/{organizationId}/webhooks/{webhookId}": "webhooks:write",
    "DELETE /organizations/{organizationId}/webhooks/{webhookId}": "webhooks:write",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/rotate-secret": "webhooks:write",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/test": "webhooks:write",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/diagnose": "webhooks:write",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/verify": "webhooks:write",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/match": "webhooks:read",
    "GET /organizations/{organizationId}/webhooks/{webhookId}/stats": "webhooks:read",
    "GET /organizations/{organizationId}/webhooks/{webhookId}/health": "webhooks:read",
    "GET /health/webhooks": None,
    "GET /stats": None,
    "GET /status": None,
    "GET /webhooks": None,
    "GET /deliveries": None,
    "GET /refused-events": None,
    "GET /organizations/{organizationId}/refused-events": "events:read",
    "POST /refused-events/retry": None,
    "POST /organizations/{organizationId}/refused-events/retry": "events:publish",
    "POST /organizations/{organizationId}/refused-events/{eventId}/retry": "events:publish",
    "DELETE /organizations/{organizationId}/refused-events/{eventId}": "events:publish",
    "POST /organizations/{organizationId}/events": "events:publish",
    "POST /organizations/{organizationId}/events/batch": "events:publish",
    "GET /organizations/{organizationId}/events": "events:read",
    "GET /organizations/{organizationId}/events/{eventId}": "events:read",
    "DELETE /organizations/{organizationId}/events/{eventId}/data": "webhooks:write",
    "POST /organizations/{organizationId}/events/erase": "webhooks:write",
    "GET /organizations/{organizationId}/feed": "events:read",
    "GET /organizations/{organizationId}/deliveries": "events:read",
    "GET /organizations/{organizationId}/deliveries/{deliveryId}": "events:read",
    "POST /organizations/{organizationId}/deliveries/{deliveryId}/retry": "deliveries:retry",
    "POST /organizations/{organizationId}/webhooks/{webhookId}/replays": "webhooks:write",
    "GET /organizations/{organizationId}/replays": "webhooks:read",
    "GET /organizations/{organizationId}/replays/{replayId}": "webhooks:read",
    "POST /organizations/{organizationId}/replays/{replayId}/pause": "webhooks:write",
    "POST /organizations/{organizationId}/replays/{replayId}/resume": "webhooks:write",
    "POST /organizations/{organizationId}/replays/{replayId}/cancel": "webhooks:write",
    "GET /organizations/{organizationId}/timeline": "events:read",
    "POST /organizations/{organizationId}/portal-sessions": "webhooks:write",
    "GET /organizations/{organizationId}/audit": "webhooks:write",
    "GET /audit": None,
}
QUERIES: Final = {"GET /organizations/{organizationId}/timeline": {"subject": "ord_1"}}
"""What a route requires in its query."""

BESIDES: Final = {"POST /organizations/{organizationId}/portal-sessions": ("webhooks:read", "events:read")}
"""The scopes that a key needs for what it gives away, besides that of the route."""

NO_LONGER: Final = "parcel.gone"
"""The code of an event type that is archived, so other tests do not notice it."""

OF_AN_ORGANIZATION: Final = [route for route in ROUTES if "{organizationId}" in route.path]
WITH_OBJECT: Final = [route for route in ROUTES if route.path.count("{") == 2]


def name(route: Route[Any]) -> str:
    """Return the test id of a route."""
    return f"{route.method} {route.path}"


async def objects_of(
    organization: Organization, receiver: Receiver, route: Route[Any], node_folder: Path
) -> dict[str, str]:
    """Create one object of each kind and return the ids by path parameter: a finished delivery, a replay that runs.

    For a route that resumes a replay it is paused, and for one of refused events the event was given up.
    """
    webhook = await organization.webhook(receiver.url)
    receipt = await organization.publish()
    delivery = await organization.delivered(receipt["id"])
    key = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["events:read"]}), 201)
    unreachable = await organization.webhook(UNREACHABLE, retry_schedule=["1h"])
    replay = body_of(await organization.ask("POST", f"/webhooks/{unreachable['id']}/replays", json=REPLAY), 202)
    await eventually(lambda: organization.deliveries(receipt["id"]), _is_settled)
    if route.path.endswith("/resume"):
        body_of(await organization.ask("POST", f"/replays/{replay['id']}/pause"), 200)
    if "/refused-events/{eventId}" in route.path:
        give_up(node_folder, organization.id, receipt["id"])
    if "{code}" in route.path:
        await archived_event_type(organization.api, NO_LONGER)
    return {
        "code": NO_LONGER,
        "replayId": replay["id"],
        "organizationId": organization.id,
        "webhookId": webhook["id"],
        "eventId": receipt["id"],
        "deliveryId": delivery["id"],
        "keyId": key["id"],
    }


async def archived_event_type(api: httpx.AsyncClient, code: str) -> None:
    """Create an event type and archive it; it may be there already."""
    await api.post(f"{BASE}/event-types", json={"code": code})
    assert (await api.delete(f"{BASE}/event-types/{code}")).status_code == 204


def _is_settled(deliveries: list[Json]) -> bool:
    """Return whether both deliveries had an attempt: nothing changes by itself any more."""
    return len(deliveries) == 2 and all(delivery["attempt_count"] for delivery in deliveries)


async def ask(api: httpx.AsyncClient, route: Route[Any], ids: dict[str, str], key: str | None = None) -> httpx.Response:
    """Send a valid request to a route about these objects, as the operator or with a key."""
    new_code = f"parcel.n{uuid4().hex}"
    bodies: dict[type[Any], dict[str, Any]] = {**BODIES, EventTypeCreate: {"code": new_code}}
    body = None if route.body is None else bodies[route.body]
    answer = await api.request(
        route.method,
        BASE + route.path.format(**ids),
        json=body,
        params=QUERIES.get(name(route), {}),
        headers={} if key is None else bearer(key),
    )
    if route.body is EventTypeCreate and answer.status_code == route.status:
        await archived_event_type(api, new_code)
    return answer


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_no_key(node_url: str, organization: Organization, route: Route[Any]) -> None:
    """Respond with 401 before anything else is looked at, whether the object exists or not."""
    there = dict.fromkeys(("webhookId", "eventId", "deliveryId", "keyId", "replayId", "code"), "x")
    async with httpx.AsyncClient(base_url=node_url, timeout=30) as client:
        for ids in ({"organizationId": organization.id, **there}, {"organizationId": "unknown", **there}):
            for content in (b"", b"{", b" " * 400_000):
                path = BASE + route.path.format(**ids)
                answer = await client.request(route.method, path, content=content)
                assert body_of(answer, 401)["detail"] == "expected the header Authorization: Bearer KEY"


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_each_scope(organization: Organization, receiver: Receiver, node_folder: Path, route: Route[Any]) -> None:
    """Accept a key with one scope exactly where the route requires it, or a scope that is included in it."""
    ids = await objects_of(organization, receiver, route, node_folder)
    keys = {scope: await organization.key(scope) for scope in SCOPES}
    for scope in SCOPES:
        if route.scope != ANY_KEY and scope not in (route.scope, INCLUDED_IN.get(route.scope or "")):
            answer = await ask(organization.api, route, ids, keys[scope])
            lacks = (
                f"this API key lacks the scope {route.scope}" if route.scope else "only the operator key may do this"
            )
            assert body_of(answer, 403)["detail"] == lacks
    needed = SCOPES[0] if route.scope == ANY_KEY else route.scope or ""
    besides = BESIDES.get(name(route), ())
    key = await organization.key(needed, *besides) if besides else keys.get(needed)
    answer = await ask(organization.api, route, ids, key)
    assert answer.status_code == route.status, answer.text
    assert bool(answer.content) == (route.response is not None)


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_operator(organization: Organization, receiver: Receiver, node_folder: Path, route: Route[Any]) -> None:
    """Accept the operator key on every route."""
    answer = await ask(organization.api, route, await objects_of(organization, receiver, route, node_folder))
    assert answer.status_code == route.status, answer.text


@pytest.mark.parametrize("route", OF_AN_ORGANIZATION, ids=name)
async def test_key_of_another_organization(
    organization: Organization, another: Organization, receiver: Receiver, node_folder: Path, route: Route[Any]
) -> None:
    """Respond with 404 to a key with every scope, as if the organization did not exist; change nothing."""
    ids = await objects_of(organization, receiver, route, node_folder)
    key = await another.key(*SCOPES)
    before = await organization.contents()
    problem = body_of(await ask(organization.api, route, ids, key), 404)
    unknown = body_of(await ask(organization.api, route, {**ids, "organizationId": "unknown"}, key), 404)
    assert problem["detail"] == f"no organization '{organization.id}'"
    assert unknown == {**problem, "detail": "no organization 'unknown'"}
    assert await organization.contents() == before


@pytest.mark.parametrize("route", OF_AN_ORGANIZATION, ids=name)
async def test_organization_that_is_not_there(
    organization: Organization, receiver: Receiver, node_folder: Path, route: Route[Any]
) -> None:
    """Respond with 404 to the operator too, also if the object exists in its own organization."""
    ids = await objects_of(organization, receiver, route, node_folder)
    answer = await ask(organization.api, route, {**ids, "organizationId": "unknown"})
    assert answer.status_code == 404


@pytest.mark.parametrize("route", WITH_OBJECT, ids=name)
async def test_object_of_another_organization(
    organization: Organization, another: Organization, receiver: Receiver, node_folder: Path, route: Route[Any]
) -> None:
    """Respond to another organization's id exactly as to an unknown id."""
    ids = await objects_of(another, receiver, route, node_folder)
    before = await another.contents()
    key = await organization.key(*SCOPES) if route.scope else None
    foreign = body_of(await ask(organization.api, route, {**ids, "organizationId": organization.id}, key), 404)
    nowhere = {**{item: f"{value}0" for item, value in ids.items()}, "organizationId": organization.id}
    unknown = body_of(await ask(organization.api, route, nowhere, key), 404)
    (unknown_id,) = [value for item, value in ids.items() if item != "organizationId" and f"{{{item}}}" in route.path]
    assert foreign["detail"].endswith(f"'{unknown_id}'")
    assert unknown == {**foreign, "detail": foreign["detail"].replace(unknown_id, unknown_id + "0")}
    assert await another.contents() == before


async def test_query_parameters_that_are_unknown_or_repeated(organization: Organization) -> None:
    """Refuse both on every route, whatever its method: what is ignored in silence was meant to do something."""
    ids = {**UNKNOWN_IDS, "organizationId": organization.id}
    bodies: dict[type, object] = {EventTypeCreate: {"code": "parcel.new"}, **BODIES}
    for route in ROUTES:
        body = None if route.body is None else bodies[route.body]
        for query in ("dry_run=true&dry_run=1", "dry_run"):
            url = f"{BASE}{route.path.format(**ids)}?{query}"
            refused = body_of(await organization.api.request(route.method, url, json=body), 422)
            named = [(error["field"], error["code"]) for error in refused["errors"]]
            assert ("dry_run", "unknown_parameter") in named, route
        for known in () if route.query is None else route.query.parameters:
            url = f"{BASE}{route.path.format(**ids)}?{known}=1&{known}=2"
            refused = body_of(await organization.api.request(route.method, url), 422)
            assert (known, "repeated_parameter") in [(error["field"], error["code"]) for error in refused["errors"]]


async def test_a_body_where_none_is_taken(organization: Organization) -> None:
    """Refuse it on every route that takes none, and do nothing; an empty object, or nothing at all, says nothing."""
    sent = {b'{"delay": 1, "a/b": []}': ["/delay", "/a~1b"], b"[1]": [""], b"delay=1": [""], b"{" * 70_000: [""]}
    before = await organization.contents()
    for route in [route for route in ROUTES if route.body is None]:
        url = f"{BASE}{route.path.format(**{**UNKNOWN_IDS, 'organizationId': organization.id})}"
        for body, fields in sent.items():
            refused = body_of(await organization.api.request(route.method, url, content=body), 422)
            assert [error["field"] for error in refused["errors"]] == fields, route
            assert {error["code"] for error in refused["errors"]} <= {"unknown_field", "unexpected_body"}
        url = f"{BASE}{route.path.format(**UNKNOWN_IDS)}"
        expected = (await organization.api.request(route.method, url)).status_code
        assert (await organization.api.request(route.method, url, content=b" {} \n")).status_code == expected, route
    assert await organization.contents() == before


def test_the_table_itself() -> None:
    """Hold exactly these routes with these scopes; each body of the table has an example here."""
    assert {name(route): route.scope for route in ROUTES} == SCOPE_OF
    assert len(ROUTES) == len(SCOPE_OF)
    assert {route.body for route in ROUTES} - {None, EventTypeCreate} == set(BODIES)
