"""docs/reference/api.md has every route as the API's own description has it."""

import re
from typing import Any, Final, NamedTuple

import pytest

from docs.pages import Section, blocks, one_line, read, sections
from packhook.api.openapi import describe
from packhook.api.order import Order
from packhook.api.problems import MEDIA_TYPE
from packhook.core.errors import Conflict, Forbidden, PackhookError, RateLimited, Unauthorized, Unavailable
from packhook.core.model import DeliveryStatus

_PAGE: Final = read("reference/api.md")
_ROUTE: Final = re.compile(r"`(GET|POST|PUT|DELETE) (/\S*)` · (?:scope `(\S+)`|(operator key|no key)) · answers (\d+)")
_ANYWHERE: Final = {kind.code for kind in (Unauthorized, Forbidden, RateLimited, Unavailable, PackhookError)}
_PAGES: Final = {"GET /openapi.json", "GET /docs"}  # the description itself, and how it is read


class Callback(NamedTuple):
    """A route as the page has it."""

    section: Section
    scope: str
    status: str


class Described(NamedTuple):
    """A route as the OpenAPI document has it."""

    operation: dict[str, Any]
    scope: str
    status: str


def _told() -> dict[str, Callback]:
    found = [(section, _ROUTE.match(section.text.strip())) for section in sections(_PAGE)]
    return {
        f"{route[1]} {route[2]}": Callback(section, route[3] or route[4], route[5])
        for section, route in found
        if route is not None
    }


def _described() -> dict[str, Described]:
    return {
        f"{method.upper()} {path.removeprefix('/v1')}": Described(
            operation, _scope(operation), min(operation["responses"])
        )
        for path, methods in describe()["paths"].items()
        for method, operation in methods.items()
    }


def _scope(operation: dict[str, Any]) -> str:
    said = operation.get("description", "no key")
    return "operator key" if "operator" in said else said.removeprefix("Scope: ").removesuffix(".")


_TOLD: Final = _told()
_DESCRIBED: Final = _described()
_EACH: Final = pytest.mark.parametrize("route", sorted(_DESCRIBED))


def test_every_route_is_documented_and_no_other() -> None:
    """Those under ``/v1``, and those of the process."""
    assert set(_TOLD) == set(_DESCRIBED) | _PAGES


@_EACH
def test_a_route_is_told_with_its_scope_and_status(route: str) -> None:
    """Who may, and what a good answer is."""
    told, described = _TOLD[route], _DESCRIBED[route]
    assert (told.scope, told.status) == (described.scope, described.status)


@_EACH
def test_a_route_is_told_with_its_query(route: str) -> None:
    """Each parameter by name, and none that is refused."""
    said = re.search(r"Query: (.+?)\n\n", _TOLD[route].section.text, re.DOTALL)
    told = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", said[1]))) if said else set()
    wanted = {each["name"] for each in _DESCRIBED[route].operation.get("parameters", []) if each["in"] == "query"}
    assert told == wanted


@_EACH
def test_a_route_is_told_with_its_fields(route: str) -> None:
    """Each field of its body by name; required where it is required."""
    fields = _fields(_DESCRIBED[route].operation)
    text = _TOLD[route].section.text
    assert {name for name in fields if f"`{name}`" not in text} == set()
    table = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (required|optional) \|", text, re.MULTILINE))
    assert table == ({} if route.startswith("PUT") else fields)


def _fields(operation: dict[str, Any]) -> dict[str, str]:
    if "requestBody" not in operation:
        return {}
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = describe()["components"]["schemas"][name]
    required = schema.get("required", [])
    return {name: "required" if name in required else "optional" for name in schema["properties"]}


@_EACH
def test_a_route_is_told_with_its_errors(route: str) -> None:
    """Those that any route can answer stand once, on top; a read contradicts nothing."""
    said = re.search(r"Errors: (.+?)(?:\n\n|\Z)", _TOLD[route].section.text, re.DOTALL)
    told = set(re.findall(r"errors\.md#(\w+)", said[1])) if said else set()
    codes = {
        code
        for answer in _DESCRIBED[route].operation["responses"].values()
        for code in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    }
    if "security" in _DESCRIBED[route].operation:
        codes -= _ANYWHERE
    if route.startswith("GET"):
        codes.discard(Conflict.code)
    assert told == codes


def test_every_member_of_an_order_is_documented() -> None:
    """The payload is what receivers read."""
    (section,) = [section for section in sections(_PAGE) if section.title == "The order"]
    assert {name for name in Order.model_fields if f"`{name}`" not in section.text} == set()


def test_every_status_of_a_delivery_is_documented() -> None:
    """In the order of its life."""
    (section,) = [section for section in sections(_PAGE) if section.title == "Deliveries"]
    assert re.findall(r"^\| `(\w+)` \|", section.text, re.MULTILINE) == [status.value for status in DeliveryStatus]


def test_every_header_of_an_event_is_documented() -> None:
    """What a receiver finds in each request."""
    (section,) = [section for section in sections(_PAGE) if section.title == "What a receiver gets"]
    (outgoing,) = {tuple(each["name"] for each in one["post"]["parameters"]) for one in describe()["webhooks"].values()}
    assert {name for name in outgoing if f"| `{name}` |" not in one_line(section.text)} == set()
    assert blocks(section.text, "json")
