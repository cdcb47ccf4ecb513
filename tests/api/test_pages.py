"""Test what routes have in common: HEAD, Location, bound cursors, and pages of problem types."""

from typing import Any, Final

import httpx
import pytest

from api.organization import SUBSCRIPTION, Organization, body_of
from packhook.api.problems import STATUS
from packhook.api.route import BASE, Route
from packhook.api.routes import ROUTES, methods_of
from packhook.core.errors import PackhookError
from support.api_node import bearer

GETS: Final = [route for route in ROUTES if route.method == "GET" and route.path.count("{") < 2]
LISTS: Final = [route.path for route in GETS if route.query is not None and "{organizationId}" in route.path]


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)
async def test_head_is_get_without_a_body(organization: Organization, route: Route[Any]) -> None:
    """Return the status and headers of GET without a body."""
    path = BASE + route.path.format(organizationId=organization.id, code="order.created")
    get, head = await organization.api.get(path), await organization.api.head(path)
    changing = {"x-request-id", "date", "content-length"}
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in get.headers.items() if name not in changing
    }
    assert "HEAD" in methods_of(path)


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/openapi.json", "/errors/conflict"])
async def test_head_of_pages(api: httpx.AsyncClient, path: str) -> None:
    """Support HEAD on pages too."""
    answer = await api.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_head_needs_a_key_too(organization: Organization) -> None:
    """Require the scope of GET."""
    key = await organization.key("events:read")
    assert (await organization.api.head(f"{organization.path}/webhooks", headers=bearer(key))).status_code == 403
    assert (await organization.api.head(f"{organization.path}/events", headers=bearer(key))).status_code == 200


async def test_what_is_created_has_a_location(organization: Organization) -> None:
    """Return the absolute URL of the new object."""
    made = await organization.ask("POST", "/webhooks", json=SUBSCRIPTION)
    webhook = body_of(await organization.api.get(made.headers["location"]), 200)
    assert webhook == body_of(made, 201)
    key = await organization.ask("POST", "/api-keys", json={"scopes": ["events:read"]})
    assert (await organization.api.delete(key.headers["location"])).status_code == 204
    other = await organization.api.post("/v1/organizations", json={})
    assert body_of(await organization.api.get(other.headers["location"]), 200) == body_of(other, 201)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
async def test_a_problem_type_is_a_page(node_url: str, kind: type[PackhookError]) -> None:
    """Serve a page with code, status and title, without a key."""
    async with httpx.AsyncClient(base_url=node_url, timeout=30) as client:
        page = await client.get(f"/errors/{kind.code}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert [text for text in (kind.code, str(STATUS[kind]), "<script") if text in page.text] == [
        kind.code,
        str(STATUS[kind]),
    ]


async def test_the_type_of_a_problem_leads_to_its_page(api: httpx.AsyncClient) -> None:
    """Resolve the relative type against the request's URL."""
    answer = await api.get("/v1/organizations/unknown")
    assert answer.json()["type"] == "/errors/not_found"
    assert (await api.get(str(answer.url.join(answer.json()["type"])))).status_code == 200
    assert (await api.get("/errors/nonsense")).status_code == 404


@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_of_another_list_is_refused(organization: Organization, path: str) -> None:
    """Refuse the cursor instead of returning an empty page."""
    for _ in range(2):
        await organization.webhook()
    page = body_of(await organization.ask("GET", "/webhooks", params={"per_page": 1}), 200)
    cursor = httpx.URL(page["next"]).params["cursor"]
    url = BASE + path.format(organizationId=organization.id)
    answer = await organization.api.get(url, params={"cursor": cursor})
    assert answer.status_code == (200 if path.endswith("/webhooks") else 422)


async def test_a_cursor_of_another_organization_or_a_changed_one_is_refused(
    organization: Organization, another: Organization
) -> None:
    """Refuse it instead of beginning a page somewhere; the operator's audit trail is another list too."""
    for _ in range(2):
        await organization.webhook()
        await another.webhook()

    async def status(path: str, cursor: str) -> int:
        return (await organization.api.get(path, params={"cursor": cursor})).status_code

    for name in ("/webhooks", "/audit"):
        page = body_of(await organization.ask("GET", name, params={"per_page": 1}), 200)
        cursor = httpx.URL(page["next"]).params["cursor"]
        assert await status(organization.path + name, cursor) == 200
        changed = (
            cursor[:-1],
            cursor + "A",
            cursor.upper(),
            cursor.partition(".")[0],
            f"A{cursor}",
            cursor[:9] + cursor,
        )
        assert [await status(organization.path + name, wrong) for wrong in changed] == [422] * len(changed)
        assert await status(another.path + name, cursor) == 422
    assert await status(f"{BASE}/audit", cursor) == 422
