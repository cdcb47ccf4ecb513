"""Test random requests generated from the OpenAPI document: no fault, and every response conforms to the document.

Node and requests run in a network namespace of their own, for the webhooks created here have random endpoints.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.organization import Organization, body_of
from packhook.api.openapi import describe
from support.api_node import OPERATOR_KEY, bearer, eventually, running_node
from support.netns import only_loopback

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LEFT_OUT: Final = ["test_webhook"]
TAGS: Final = (
    "audit",
    "organizations",
    "master-key",
    "api-keys",
    "event-types",
    "webhooks",
    "events",
    "deliveries",
    "replays",
    "statistics",
    "portal",
    "status",
    "process",
)
UNTOUCHED: Final = ("delete_organization", "revoke_api_key", "delete_webhook")


async def things(url: str) -> dict[str, str]:
    """Create an organization with one object of each kind, so that some requests are about existing objects."""
    async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
        organization = await Organization.create(api)
        webhook = await organization.webhook()
        receipt = await organization.publish()
        (delivery,) = await organization.deliveries(receipt["id"])
        detail = await eventually(lambda: organization.detail(delivery["id"]), lambda found: found["attempts"])
        selected = {"select": "all", "since": "2020-01-01T00:00:00Z"}
        replay = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/replays", json=selected), 202)
        key = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["events:read"]}), 201)
    return {
        "organizationId": organization.id,
        "webhookId": webhook["id"],
        "eventId": receipt["id"],
        "deliveryId": detail["id"],
        "replayId": replay["id"],
        "keyId": key["id"],
        "code": "order.created",
    }


def operations(url: str, tag: str) -> Iterator[Any]:
    """Return the operations of a tag."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").include(tag=tag).exclude(operation_id=LEFT_OUT)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        yield found.ok()


def exercise(operation: Any, ids: dict[str, str]) -> int:  # noqa: ANN401 schemathesis's own type is private
    """Send this many requests, valid and invalid, half of them about existing objects; count the successes."""
    there = {item["name"]: ids[item["name"]] for item in path_parameters(operation)}
    takes_anything = "requestBody" in operation.definition.raw
    good = 0

    @seed(1)
    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        nonlocal good
        known = there if data.draw(st.booleans()) and operation.definition.raw["operationId"] not in UNTOUCHED else None
        mode = data.draw(st.sampled_from(GenerationMode)) if takes_anything else GenerationMode.POSITIVE
        case = data.draw(operation.as_strategy(mode, path_parameters=known or None))
        answer = case.call_and_validate(headers=bearer(OPERATOR_KEY), checks=CHECKS)
        good += answer.status_code < 300

    ask()
    return good


def path_parameters(operation: Any) -> list[dict[str, Any]]:  # noqa: ANN401 as above
    """Return the path parameters of an operation."""
    return [item for item in operation.definition.raw.get("parameters", []) if item["in"] == "path"]


@pytest.mark.parametrize("tag", TAGS)
@only_loopback
async def test_every_answer_is_described(tag: str) -> None:
    """Respond with no 5xx; status, content type, headers and body conform to the document."""
    with tempfile.TemporaryDirectory() as folder, running_node(Path(folder)) as url:
        ids = await things(url)
        good = {operation.label: exercise(operation, ids) for operation in operations(url, tag)}
    assert good
    assert [label for label, count in good.items() if not count and label.startswith("GET")] == []


def test_every_operation_is_under_a_tag() -> None:
    """Leave out no operation but the one that sends at once."""
    described = [item for methods in describe()["paths"].values() for item in methods.values()]
    assert {tag for item in described for tag in item["tags"]} == set(TAGS)
    assert {item["operationId"] for item in described} >= {*LEFT_OUT, *UNTOUCHED}
