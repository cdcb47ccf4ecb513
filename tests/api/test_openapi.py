"""Test the OpenAPI document: valid 3.1, in line with the routes, with valid examples."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
import pytest
import schemathesis

from api.organization import Organization
from packhook.api.headers import RATE_LIMIT
from packhook.api.openapi import describe
from packhook.api.problems import STATUS, TYPE_BASE
from packhook.api.route import BASE
from packhook.api.routes import ROUTES
from packhook.core.event_types import EVENT_CODES, PUBLISHED_CODES
from packhook.testing import ManualClock, Receiver
from support.api_node import application

DOCUMENT: Final = describe()
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS: Final = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
ORDERS: Final = ("Order",)
"""Schemas whose times are the vendor's, who says nothing of their form."""

OUTGOING: Final = {code: DOCUMENT["webhooks"][code]["post"] for code in DOCUMENT["webhooks"]}


def problems_of(value: object, schema: dict[str, Any]) -> list[str]:
    """Return the errors of a value by a schema that may refer to the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [str(error) for error in jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(value)]


def examples_of(content: dict[str, Any]) -> Iterator[Any]:
    """Yield the examples of one media type."""
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        yield example["value"]


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every request and response body of the document."""
    for name, operation in {**OPERATIONS, **OUTGOING}.items():
        for where, part in {"body": operation.get("requestBody", {}), **operation["responses"]}.items():
            for media_type, content in part.get("content", {}).items():
                yield f"{name}: {where} {media_type}", content


CONTENTS: Final = dict(contents())


async def test_it_is_served(tmp_path: Path) -> None:
    """Serve the document as JSON, without a key."""
    async with application(tmp_path, ManualClock()) as (client, _, _):
        answer = await client.get("/openapi.json", headers={"authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DOCUMENT


def test_it_is_openapi_3_1() -> None:
    """Conform to the schema of OpenAPI 3.1; each component is a valid JSON Schema (2020-12)."""
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_routes_and_document_agree() -> None:
    """Describe every route, and nothing else."""
    routes = {f"{route.method} {BASE}{route.path}": route for route in ROUTES}
    assert set(OPERATIONS) == {*routes, "GET /health", "GET /ready"}
    for name, route in routes.items():
        good = [status for status in OPERATIONS[name]["responses"] if status.startswith("2")]
        assert good == [str(status) for status in (route.status, *route.also)], name
        assert ("requestBody" in OPERATIONS[name]) == (route.body is not None), name
        assert OPERATIONS[name]["security"] == [{"apiKey": []}], name


def test_parameters() -> None:
    """Require each parameter of a path; repeat no parameter."""
    for name, operation in OPERATIONS.items():
        parameters = operation.get("parameters", [])
        in_path = {item["name"] for item in parameters if item["in"] == "path" and item["required"]}
        assert in_path == set(re.findall(r"{(\w+)}", name)), name
        assert len({(item["in"], item["name"]) for item in parameters}) == len(parameters), name


def test_every_operation_has_an_id_of_its_own() -> None:
    """Give each operation a unique id and a summary."""
    operations = [*OPERATIONS.values(), *OUTGOING.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def test_the_rules_of_linters() -> None:
    """Have what ``redocly lint`` asks for by its recommended rules: its run is in docs/benchmarks/openapi.md."""
    assert DOCUMENT["info"]["license"]["identifier"] == "MIT"
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]
    assert describe(server="https://hooks.example/base")["servers"] == [{"url": "https://hooks.example/base"}]
    for name, operation in {**OPERATIONS, **OUTGOING}.items():
        needs_key = name in {f"{route.method} {BASE}{route.path}" for route in ROUTES}
        assert operation["security"] == ([{"apiKey": []}] if needs_key else []), name
        assert any(status.startswith("4") for status in operation["responses"]), name
    assert all(len(found) > 1 for found in values_of(DOCUMENT, "oneOf"))
    titles = [schema["title"] for schema in SCHEMAS.values() if "title" in schema]
    assert len(titles) == len(set(titles))
    assert not [reference for reference in values_of(DOCUMENT, "$ref") if "/$defs/" in reference]


def values_of(part: Any, keyword: str) -> Iterator[Any]:  # noqa: ANN401 any part of the document
    """Yield the values of a keyword anywhere in it."""
    if isinstance(part, dict):
        if keyword in part:
            yield part[keyword]
        part = list(part.values())
    for one in part if isinstance(part, list) else ():
        yield from values_of(one, keyword)


def test_times_have_a_format() -> None:
    """Say of each member that is a time that it is one."""
    of_time = re.compile(r"\w+_at|since|until|timestamp|oldest|newest|\w+_since|\w+_until|from|to")
    for name, schema in SCHEMAS.items():
        if name in ORDERS:
            continue
        for member, found in schema.get("properties", {}).items():
            if of_time.fullmatch(member):
                kinds = found.get("anyOf", [found])
                assert "date-time" in [kind.get("format") for kind in kinds], f"{name}.{member}"


def test_headers_of_responses() -> None:
    """Describe Location where something is created, ETag, rate limits, marks of repeats, and Retry-After."""
    assert set(values_of(DOCUMENT["paths"], "$ref")) >= {
        f"#/components/headers/{name}" for name in DOCUMENT["components"]["headers"]
    }
    for route in ROUTES:
        responses = OPERATIONS[f"{route.method} {BASE}{route.path}"]["responses"]
        good = set(responses[str(route.status)]["headers"])
        assert good >= set(RATE_LIMIT)
        assert ("Location" in good) == route.has_location
        assert ("Idempotent-Replayed" in good) == route.takes_idempotency_key
        assert "Retry-After" in responses["429"]["headers"]
        assert {"401", "403", "422", "429", "500", "503"} <= set(responses)


def test_every_reference_leads_somewhere() -> None:
    """Resolve every reference to a component; use every component."""
    used = set(re.findall(r"'#/components/schemas/([\w.-]+)'", str(DOCUMENT)))
    assert used == set(SCHEMAS)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_examples_are_valid(content: dict[str, Any]) -> None:
    """Validate every example of every body by its schema."""
    assert [problems_of(example, content["schema"]) for example in examples_of(content)] == [
        [] for _ in examples_of(content)
    ]


def test_there_are_examples() -> None:
    """Have examples of each event, of what receivers get, and of every kind of problem."""
    published = CONTENTS[f"POST {BASE}/organizations/{{organizationId}}/events: body application/json"]
    assert [example["event_code"] for example in examples_of(published)] == list(PUBLISHED_CODES)
    problems = [
        example for name, content in CONTENTS.items() if "problem+json" in name for example in examples_of(content)
    ]
    kinds = {TYPE_BASE + kind.code: status for kind, status in STATUS.items()}
    assert all(kinds[example["type"]] == example["status"] for example in problems)
    assert {example["status"] for example in problems} >= {400, 401, 403, 404, 409, 413, 415, 422, 503}


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_of_fields_are_valid(name: str) -> None:
    """Validate the examples of fields and of whole schemas."""
    schema = SCHEMAS[name]
    wrong = [problems_of(example, schema) for example in schema.get("examples", [])]
    for member in schema.get("properties", {}).values():
        wrong += [problems_of(example, member) for example in member.get("examples", [])]
    assert wrong == [[] for _ in wrong]


def test_every_event_type() -> None:
    """Describe all event types in the ``webhooks`` section, each with a valid example."""
    assert list(OUTGOING) == list(EVENT_CODES)
    for code, operation in OUTGOING.items():
        content = operation["requestBody"]["content"]["application/json"]
        (example,) = examples_of(content)
        assert example["type"] == code
        assert problems_of(example, content["schema"]) == []
        assert problems_of({**example, "type": "order.lost"}, content["schema"]) != []
        wrong = {**example["data"], "status": 1, "webhook_id": 1}
        assert problems_of({**example, "data": wrong}, content["schema"]) != []


async def test_what_a_receiver_gets_is_as_described(organization: Organization) -> None:
    """Match body and headers of a real request with the ``webhooks`` section."""
    for code in PUBLISHED_CODES:
        operation = OUTGOING[code]
        async with Receiver() as receiver:
            await organization.webhook(receiver.url, event_code=code)
            await organization.publish(code, total={"currency": "EUR", "value": "9.95"})
            (received,) = await receiver.wait_for(1)
        body = jsonschema_rs.Draft202012Validator(
            {**operation["requestBody"]["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
        )
        assert body.is_valid(httpx.Response(200, content=received.body).json())
        described = {parameter["name"] for parameter in operation["parameters"]}
        assert described == {name for name in received.headers if name.startswith("webhook-")}


async def test_page_to_read(node_url: str) -> None:
    """Show every operation and schema on ``/docs``, without scripts and external resources."""
    async with httpx.AsyncClient(base_url=node_url, timeout=30) as client:
        answer = await client.get("/docs")
    page = answer.text
    links = re.findall(r"(?:href|src|action|srcset|data)\s*=\s*['\"]?([^'\" >]+)", page)
    anchors = {f"#{name}" for name in re.findall(r"id='([\w.-]+)'", page)}
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers.get_list("content-security-policy") == [
        f"default-src 'none'; style-src 'sha256-{known}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ]
    assert not re.search(r"\sstyle\s*=|\son\w+\s*=|javascript:", re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL))
    assert set(links) <= anchors | {"/openapi.json"}
    assert not re.search(r"<script|<iframe|<link|<img|@import|url\(", page)
    assert anchors == {f"#{name}" for name in SCHEMAS}
    assert all(path in page for path in DOCUMENT["paths"])
