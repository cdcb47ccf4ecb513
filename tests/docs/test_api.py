"""Test docs/reference/api.md: it has every route as the OpenAPI document has it."""

import json
import re
from typing import Any, Final, NamedTuple

import pytest

from docs.pages import Section, blocks, one_line, read, sections
from packhook.api.openapi import describe
from packhook.api.problems import MEDIA_TYPE
from packhook.core import errors
from packhook.core.errors import Conflict, InvalidInput
from packhook.core.model import DeliveryStatus
from packhook.core.order_events import Order, example_order

_PAGE: Final = read("reference/api.md")
_ROUTE: Final = re.compile(
    r"`(GET|POST|PUT|DELETE) (/\S*)` · (?:scope `(\S+)`|(operator key|any key|no key)) · returns (\d+)"
)
_ANYWHERE: Final = {
    kind.code
    for kind in (
        errors.Unauthorized,
        errors.Forbidden,
        errors.RateLimited,
        errors.Overloaded,
        errors.Unavailable,
        errors.PackhookError,
        errors.InvalidInput,
    )
}
_PAGES: Final = {"GET /openapi.json", "GET /docs", "GET /errors/{code}", "GET /metrics"}  # not in the OpenAPI document


class Documented(NamedTuple):
    """Hold a route as the page has it."""

    section: Section
    scope: str
    status: str


class Described(NamedTuple):
    """Hold a route as the OpenAPI document has it."""

    operation: dict[str, Any]
    scope: str
    status: str


def _documented() -> dict[str, Documented]:
    found = [(section, _ROUTE.match(section.text.strip())) for section in sections(_PAGE)]
    return {
        f"{route[1]} {route[2]}": Documented(section, route[3] or route[4], route[5])
        for section, route in found
        if route is not None
    }


def _described() -> dict[str, Described]:
    return {
        f"{method.upper()} {path.removeprefix('/v1')}": Described(
            operation, _scope(operation), next(iter(operation["responses"]))
        )
        for path, methods in describe()["paths"].items()
        for method, operation in methods.items()
    }


def _scope(operation: dict[str, Any]) -> str:
    description = operation.get("description", "no key")
    if "operator" in description:
        return "operator key"
    return "any key" if "any key" in description else description.removeprefix("Scope: ").removesuffix(".")


_DOCUMENTED: Final = _documented()
_DESCRIBED: Final = _described()
_EVERY_ROUTE: Final = pytest.mark.parametrize("route", sorted(_DESCRIBED))


def test_every_route_is_documented_and_no_other() -> None:
    """Document every route below ``/v1``, the health checks and the pages."""
    assert set(_DOCUMENTED) == set(_DESCRIBED) | _PAGES


@_EVERY_ROUTE
def test_a_route_is_documented_with_its_scope_and_status(route: str) -> None:
    """Document the scope and the status of a good response."""
    documented, described = _DOCUMENTED[route], _DESCRIBED[route]
    assert (documented.scope, documented.status) == (described.scope, described.status)


@_EVERY_ROUTE
def test_a_route_is_documented_with_its_query(route: str) -> None:
    """Document each query parameter, and no other."""
    match = re.search(r"Query: (.+?)\n\n", _DOCUMENTED[route].section.text, re.DOTALL)
    documented = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", match[1]))) if match else set()
    expected = {item["name"] for item in _DESCRIBED[route].operation.get("parameters", []) if item["in"] == "query"}
    assert documented == expected


@_EVERY_ROUTE
def test_a_route_is_documented_with_its_fields(route: str) -> None:
    """Document each field of the body; required where it is required."""
    fields = _fields(_DESCRIBED[route].operation)
    text = _DOCUMENTED[route].section.text
    assert {name for name in fields if f"`{name}`" not in text} == set()
    table = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (required|optional) \|", text, re.MULTILINE))
    assert table == ({} if route.startswith("PUT") else fields)


def _fields(operation: dict[str, Any]) -> dict[str, str]:
    if "requestBody" not in operation:
        return {}
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = describe()["components"]["schemas"][name]
    schema = schema["oneOf"][0] if "oneOf" in schema else schema
    required = schema.get("required", [])
    return {name: "required" if name in required else "optional" for name in schema["properties"]}


@_EVERY_ROUTE
def test_a_route_is_documented_with_its_errors(route: str) -> None:
    """Document each error; those of every route stand once, at the top."""
    match = re.search(r"Errors: (.+?)(?:\n\n|\Z)", _DOCUMENTED[route].section.text, re.DOTALL)
    documented = set(re.findall(r"errors\.md#(\w+)", match[1])) if match else set()
    codes = {
        code
        for answer in _DESCRIBED[route].operation["responses"].values()
        for code in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    }
    if _DESCRIBED[route].operation["security"]:
        codes -= _ANYWHERE - (documented & {InvalidInput.code})
    if route.startswith("GET"):
        codes.discard(Conflict.code)
    assert documented == codes


def test_every_member_of_an_order_is_documented() -> None:
    """Document each member that receivers read."""
    (section,) = [section for section in sections(_PAGE) if section.title == "The order"]
    assert {name for name in Order.__struct_fields__ if f"`{name}`" not in section.text} == set()


def test_the_example_of_an_order_is_that_of_the_event_type() -> None:
    """Show a complete order, and name each member of it that packhook checks."""
    (section,) = [section for section in sections(_PAGE) if section.title == "The order"]
    (example,) = blocks(section.text, "json")
    assert json.loads(example) == example_order("order.shipped")
    assert [name for name in Order.__struct_fields__ if f"`{name}`" not in section.text or name not in example] == []


def test_every_status_of_a_delivery_is_documented() -> None:
    """Document the statuses in order."""
    (section,) = [section for section in sections(_PAGE) if section.title == "Deliveries"]
    assert re.findall(r"^\| `(\w+)` \|", section.text, re.MULTILINE) == [status.value for status in DeliveryStatus]


def test_every_header_of_an_event_is_documented() -> None:
    """Document each header that a receiver gets."""
    (section,) = [section for section in sections(_PAGE) if section.title == "What a receiver gets"]
    (outgoing,) = {tuple(item["name"] for item in one["post"]["parameters"]) for one in describe()["webhooks"].values()}
    assert {name for name in outgoing if f"| `{name}` |" not in one_line(section.text)} == set()
    assert blocks(section.text, "json")
