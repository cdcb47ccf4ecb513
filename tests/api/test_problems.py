"""Test errors: each is an RFC 9457 problem with everything that is wrong, and changes nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from api.organization import EVENT, JSON, SUBSCRIPTION, Organization, body_of
from support.api_node import bearer

TITLES: Final = {
    "malformed_body": (400, "The body is not valid JSON."),
    "unauthorized": (401, "No API key, or not a valid one."),
    "forbidden": (403, "The API key lacks the scope."),
    "not_found": (404, "No such thing here."),
    "method_not_allowed": (405, "The path exists, the method does not."),
    "conflict": (409, "The request contradicts what is already there."),
    "body_too_large": (413, "The body is larger than allowed."),
    "unsupported_media_type": (415, "The body's content type is not application/json."),
    "invalid_input": (422, "Some fields are not valid."),
}
REQUIRED: Final = "this field is required"
UNKNOWN: Final = "there is no such field"
NO_SUCH: Final = "there is no such parameter"
TIME = "expected a time such as 2h (ago), yesterday, 2026-11-30 or 2026-11-30T09:30:00Z, got 'soon'"
PER_PAGE: Final = "expected a number from 1 to 100"
CURSOR: Final = "expected a cursor from the prev or next link of this list"
NO_PAGE: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
TEXT: Final = {"content-type": "text/plain"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
UTF_16: Final = {"content-type": "application/json; charset=utf-16"}


@dataclass(frozen=True)
class Case:
    """Declare a request and its problem. ``{…}`` in texts is replaced with ids of the test."""

    code: str
    method: str
    path: str
    detail: str | None = None
    errors: list[tuple[str, str, str]] | None = None
    key: str = "operator"
    request: dict[str, Any] = field(default_factory=dict)


def sent(**request: Any) -> dict[str, Any]:  # noqa: ANN401 httpx's arguments
    """Return the parts of a request besides method and path."""
    return request


CASES: Final = {
    "malformed JSON": Case("malformed_body", "POST", "{o}/webhooks", request=sent(content=b'{"a":', headers=JSON)),
    "malformed event": Case("malformed_body", "POST", "{o}/events", request=sent(content=b"{]", headers=JSON)),
    "malformed batch": Case("malformed_body", "POST", "{o}/events/batch", request=sent(content=b"", headers=JSON)),
    "two JSON texts": Case("malformed_body", "POST", "{o}/events", request=sent(content=b"{}{}", headers=JSON)),
    "not UTF-8": Case(
        "malformed_body",
        "POST",
        "{o}/events",
        "the body is not UTF-8: byte 55",
        request=sent(content=b'{"event_code":"order.created","data":{"id":"1","name":"\xff"}}', headers=JSON),
    ),
    "NaN": Case(
        "malformed_body",
        "POST",
        "{o}/events",
        "the body is not JSON: NaN is no number",
        request=sent(content=b'{"event_code":"order.created","data":{"id":"1","weight":NaN}}', headers=JSON),
    ),
    "Infinity in a batch, beside another error": Case(
        "malformed_body",
        "POST",
        "{o}/events/batch",
        "the body is not JSON: -Infinity is no number",
        request=sent(content=b'{"events":[{"event_code":"order.created","data":{"x":-Infinity}}]}', headers=JSON),
    ),
    "half of a surrogate pair": Case(
        "malformed_body",
        "POST",
        "{o}/events",
        "the body is not JSON: a string contains half of a surrogate pair",
        request=sent(content=b'{"event_code":"order.created","data":{"id":"\\ud800"}}', headers=JSON),
    ),
    "not an object": Case("invalid_input", "POST", "{o}/webhooks", request=sent(json=[SUBSCRIPTION])),
    "text": Case(
        "unsupported_media_type",
        "POST",
        "{o}/webhooks",
        "expected content-type application/json, got text/plain",
        request=sent(content=b"{}", headers=TEXT),
    ),
    "form": Case("unsupported_media_type", "POST", "{o}/events", request=sent(content=b"a=b", headers=FORM)),
    "no content type": Case(
        "unsupported_media_type",
        "PUT",
        "{o}/webhooks/{webhook}",
        "expected content-type application/json, got none",
        request=sent(content=b'{"enabled":false}'),
    ),
    "UTF-16": Case("unsupported_media_type", "POST", "{o}/events", request=sent(content=b"{}", headers=UTF_16)),
    "no key": Case(
        "unauthorized", "GET", "{o}/webhooks", "expected the header Authorization: Bearer KEY", key="none"
    ),
    "no key to publish": Case("unauthorized", "POST", "{o}/events", key="none", request=sent(json=EVENT)),
    "another scheme": Case("unauthorized", "GET", "{o}", key="basic"),
    "unknown key": Case("unauthorized", "POST", "{o}/events", "this API key is not valid", key="unknown"),
    "revoked key": Case("unauthorized", "GET", "{o}/webhooks", "this API key is not valid", key="revoked"),
    "key without scope": Case(
        "forbidden",
        "POST",
        "{o}/webhooks",
        "this API key lacks the scope webhooks:write",
        key="reader",
        request=sent(json=SUBSCRIPTION),
    ),
    "key without scope to publish": Case(
        "forbidden", "POST", "{o}/events", "this API key lacks the scope events:publish", key="reader"
    ),
    "organization's key as the operator's": Case(
        "forbidden", "POST", "/v1/organizations", "only the operator key may do this", key="reader"
    ),
    "another organization": Case("not_found", "GET", "{a}/webhooks", "no organization '{a_id}'", key="reader"),
    "another organization's webhook": Case(
        "not_found", "GET", "{o}/webhooks/{theirs}", "no webhook '{theirs}'", key="reader"
    ),
    "unknown organization": Case("not_found", "POST", "/v1/organizations/unknown/events", request=sent(json=EVENT)),
    "unknown webhook": Case(
        "not_found", "PUT", "{o}/webhooks/wh_1", "no webhook 'wh_1'", request=sent(json={"enabled": False})
    ),
    "unknown event": Case("not_found", "GET", "{o}/events/evt_1", "no event 'evt_1'"),
    "unknown delivery": Case("not_found", "POST", "{o}/deliveries/dlv_1/retry", "no delivery 'dlv_1'"),
    "unknown API key": Case("not_found", "DELETE", "{o}/api-keys/key_1", "no API key 'key_1'"),
    "unknown route": Case("not_found", "GET", "/v2/organizations", "no route /v2/organizations"),
    "unknown route, no key": Case("not_found", "GET", "/admin", "no route /admin", key="none"),
    "wrong method": Case("method_not_allowed", "PATCH", "{o}/webhooks/{webhook}"),
    "wrong method on events": Case("method_not_allowed", "DELETE", "{o}/events"),
    "wrong method on a batch": Case("method_not_allowed", "PUT", "{o}/events/batch"),
    "taken id": Case("conflict", "POST", "/v1/organizations", request=sent(json={"id": "{o_id}"})),
    "large webhook": Case(
        "body_too_large",
        "POST",
        "{o}/webhooks",
        "the body may have 65536 bytes, this has 307200",
        request=sent(content=b" " * 307_200, headers=JSON),
    ),
    "large event": Case(
        "body_too_large",
        "POST",
        "{o}/events",
        "the body may have 266240 bytes, this has 307200",
        request=sent(content=b" " * 307_200, headers=JSON),
    ),
    "large batch": Case(
        "body_too_large", "POST", "{o}/events/batch", request=sent(content=b" " * 16_777_217, headers=JSON)
    ),
    "empty object": Case(
        "invalid_input",
        "POST",
        "{o}/webhooks",
        errors=[(f"/{name}", "missing", REQUIRED) for name in SUBSCRIPTION],
        request=sent(json={}),
    ),
    "all that can be wrong": Case(
        "invalid_input",
        "POST",
        "{o}/webhooks",
        errors=[
            ("/event_code", "invalid", "'orders.created' is not an event code; did you mean `order.created`?"),
            ("/endpoint", "missing", REQUIRED),
            ("/secret", "invalid", "Input should be a valid string"),
            ("/enabled", "invalid", "Input should be a valid boolean"),
            ("/colour", "unknown_field", UNKNOWN),
        ],
        request=sent(json={"event_code": "orders.created", "secret": None, "enabled": "yes", "colour": "red"}),
    ),
    "unknown fields of an event": Case(
        "invalid_input",
        "POST",
        "{o}/events",
        errors=[("/id", "unknown_field", UNKNOWN), ("/organization_id", "unknown_field", UNKNOWN)],
        request=sent(json={**EVENT, "id": "evt_1", "organization_id": "other"}),
    ),
    "unknown query parameter": Case(
        "invalid_input", "GET", "{o}/webhooks?page=2&limit=5",
        errors=[("page", "unknown_parameter", NO_SUCH), ("limit", "unknown_parameter", NO_SUCH)],
    ),
    "repeated query parameter": Case(
        "invalid_input", "GET", "{o}/events?per_page=1&per_page=2",
        errors=[("per_page", "repeated_parameter", "expected this parameter once")],
    ),
    "bad cursor": Case(
        "invalid_input", "GET", "{o}/deliveries?cursor=next", errors=[("cursor", "invalid_cursor", CURSOR)]
    ),
    "all that can be wrong in a query": Case(
        "invalid_input",
        "GET",
        "{o}/deliveries?per_page=101&cursor=%C3%A9&status=lost&since=soon&event_code=orders.created&x=1",
        errors=[
            ("x", "unknown_parameter", NO_SUCH),
            ("per_page", "invalid", PER_PAGE),
            ("cursor", "invalid_cursor", CURSOR),
            ("status", "invalid", "expected one of pending, sending, delivered, exhausted, canceled"),
            ("since", "invalid", TIME),
            ("event_code", "invalid", "'orders.created' is not an event code; did you mean `order.created`?"),
        ],
    ),
}  # fmt: skip


@dataclass
class Scene:
    """Hold two organizations with a webhook each, and keys of the first."""

    ours: Organization
    theirs: Organization
    names: dict[str, str]
    keys: dict[str, dict[str, str]]

    def filled(self, text: Any) -> Any:  # noqa: ANN401 any part of a request
        """Replace ``{…}`` with the ids."""
        if isinstance(text, dict) and text == {"id": "{o_id}"}:
            return {"id": self.ours.id}
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value) if isinstance(text, str) else text
        return text

    async def kept(self) -> list[Any]:
        """Return everything stored of both."""
        return [await item.contents() for item in (self.ours, self.theirs)]


@pytest.fixture
async def scene(organization: Organization, another: Organization) -> Scene:
    """Set up one case."""
    webhook, theirs = await organization.webhook(), await another.webhook()
    revoked = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["webhooks:read"]}), 201)
    await organization.ask("DELETE", f"/api-keys/{revoked['id']}")
    names = {"o": organization.path, "a": another.path, "webhook": webhook["id"], "theirs": theirs["id"]}
    names |= {"o_id": organization.id, "a_id": another.id}
    keys = {
        "operator": {},
        "none": {"authorization": ""},
        "basic": {"authorization": "Basic eDp5"},
        "unknown": bearer("phk_unknown"),
        "revoked": bearer(revoked["key"]),
        "reader": bearer(await organization.key("webhooks:read")),
    }
    return Scene(organization, another, names, keys)


async def answer_to(case: Case, scene: Scene) -> httpx.Response:
    """Send the request of a case."""
    request = {name: scene.filled(value) for name, value in case.request.items()}
    headers = {**request.pop("headers", {}), **scene.keys[case.key]}
    asked = scene.ours.api.build_request(case.method, scene.filled(case.path), headers=headers, **request)
    if case.key == "none":
        del asked.headers["authorization"]
    return await scene.ours.api.send(asked)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_problem(scene: Scene, case: Case) -> None:
    """Return exactly the members of a problem, with every invalid field; store nothing."""
    before = await scene.kept()
    answer = await answer_to(case, scene)
    status, title = TITLES[case.code]
    problem = body_of(answer, status)
    members = {"type", "title", "status", "detail"} | ({"errors"} if status == 422 else set())
    assert set(problem) == members
    assert problem["type"] == f"/errors/{case.code}"
    assert (problem["title"], problem["status"]) == (title, status)
    if case.detail is not None:
        assert problem["detail"] == scene.filled(case.detail)
    if case.errors is not None:
        expected = [dict(zip(("field", "code", "message"), error, strict=True)) for error in case.errors]
        assert sorted(problem["errors"], key=str) == sorted(expected, key=str)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await scene.kept() == before


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_headers_of_a_problem(scene: Scene, case: Case) -> None:
    """Return a request id and the security headers; on 401 alone also ``www-authenticate``."""
    answer = await answer_to(case, scene)
    assert answer.headers["x-request-id"].startswith("req_")
    assert SAFE.items() <= dict(answer.headers).items()
    assert answer.headers.get_list("content-security-policy") == [NO_PAGE]
    asked = answer.headers.get("www-authenticate")
    assert asked == ('Bearer realm="packhook"' if answer.status_code == 401 else None)
    assert "server" not in answer.headers


async def test_every_answer_has_an_id_of_its_own(organization: Organization) -> None:
    """Return the headers on good and empty responses too, each with its own request id."""
    webhook = await organization.webhook()
    answers = [
        await organization.ask("GET", "/webhooks"),
        await organization.ask("POST", "/events", json=EVENT),
        await organization.ask("POST", "/events/batch", json={"events": [EVENT]}),
        await organization.ask("DELETE", f"/webhooks/{webhook['id']}"),
        await organization.api.get("/openapi.json"),
        await organization.api.get("/docs"),
        await organization.api.get("/v1/organizations/"),
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert [answer.status_code for answer in answers] == [200, 202, 202, 204, 200, 200, 404]
    assert len(ids) == len(answers)
    assert all(SAFE.items() <= dict(answer.headers).items() for answer in answers)
    policies = [answer.headers.get_list("content-security-policy") for answer in answers]
    assert [policy == [NO_PAGE] for policy in policies] == [True] * 5 + [False, True]
    assert policies[5][0].startswith("default-src 'none'; style-src 'sha256-")


async def test_what_is_no_request_is_answered_with_the_same_headers(node_url: str) -> None:
    """Return the headers on uvicorn's own error response too."""
    reader, writer = await asyncio.open_connection(*node_url.removeprefix("http://").split(":"))
    writer.write(b"nonsense\r\n\r\n")
    status, *lines = (await asyncio.wait_for(reader.read(), 10)).decode().partition("\r\n\r\n")[0].split("\r\n")
    writer.close()
    headers = dict(line.split(": ", 1) for line in lines)
    assert status.startswith("HTTP/1.1 400 ")
    assert SAFE.items() <= headers.items()
    assert headers["content-security-policy"] == NO_PAGE


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("", {"GET", "PUT", "DELETE"}),
        ("/webhooks", {"GET", "POST"}),
        ("/webhooks/wh_1", {"GET", "PUT", "DELETE"}),
        ("/events", {"GET", "POST"}),
        ("/deliveries", {"GET"}),
    ],
)
async def test_a_wrong_method_lists_the_allowed_ones(organization: Organization, path: str, methods: set[str]) -> None:
    """Return ``Allow`` with every method of the path on 405 (RFC 9110, 15.5.6)."""
    answer = await organization.ask("PATCH", path)
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["allow"].split(",")} - {"HEAD"} == methods


async def test_an_error_names_a_hundred_fields(organization: Organization) -> None:
    """However many are wrong: a response is bounded."""
    body = {**SUBSCRIPTION, **{f"field{number}": 1 for number in range(3_000)}}
    problem = body_of(await organization.ask("POST", "/webhooks", json=body), 422)
    assert len(problem["errors"]) == 100


async def test_a_list_of_event_codes_that_is_too_long_is_refused_unread(organization: Organization) -> None:
    """A message for each code searches for the nearest one, which took seconds for one request."""
    codes = {"event_codes": [f"order.c{number}" for number in range(3_000)]}
    webhook = await organization.webhook()
    for method, path, body in (
        ("POST", "/webhooks", {**SUBSCRIPTION, **codes}),
        ("PUT", f"/webhooks/{webhook['id']}", codes),
        ("POST", f"/webhooks/{webhook['id']}/replays", {"select": "all", "since": "2026-08-02T09:30:00Z", **codes}),
    ):
        problem = body_of(await organization.ask(method, path, json=body), 422)
        (error,) = problem["errors"]
        assert error["field"] == "/event_codes"
        assert error["message"] == "expected at most 50 event codes and patterns, got 3000"
