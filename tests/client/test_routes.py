"""Walk the OpenAPI document: the client has every route, with everything that can be sent and that comes back."""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import pytest

from packhook.api.openapi import describe
from packhook_client import AsyncPackhook, Packhook, calls
from packhook_client.call import Call
from packhook_client.values.pages import Page

DOCUMENT: Final = describe()
OPERATIONS: Final = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FUNCTIONS: Final = {
    name: function
    for name in calls.__all__
    if inspect.isfunction(function := getattr(calls, name))
    and get_origin(inspect.signature(function).return_annotation) is Call
}
NOT_METHODS: Final = {"publish_json"}
"""What other calls are made of: ``publish`` has an argument for it."""

_SAMPLES: Final[dict[Any, Any]] = {
    str: "sample", int: 7, float: 7.5, bool: True, datetime: "2026-11-30T00:00:00Z", bytes: b"{}",
}  # fmt: skip


def _sample(annotation: Any) -> Any:  # noqa: ANN401 a type
    """Return a value for a parameter."""
    if get_origin(annotation) in (Union, UnionType):
        return _sample(next(one for one in get_args(annotation) if one is not NoneType))
    if get_origin(annotation) is Mapping:
        return {"name": "value"}
    if get_origin(annotation) is not None:
        return [_sample(get_args(annotation)[0])]
    return calls.NewEvent("order.created", {}) if annotation is calls.NewEvent else _SAMPLES[annotation]


def _made(function: Callable[..., Call[Any]]) -> Call[Any]:
    """Return the call with every argument given."""
    parameters = inspect.signature(function).parameters.values()
    positional = [_sample(one.annotation) for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {one.name: _sample(one.annotation) for one in parameters if one.kind is one.KEYWORD_ONLY}
    return function(*positional, **named)


MADE: Final = {name: _made(function) for name, function in FUNCTIONS.items()}


def _of_route() -> dict[tuple[str, str], list[str]]:
    found = defaultdict(list)
    for name, call in MADE.items():
        found[call.method, call.route].append(name)
    return found


OF_ROUTE: Final = _of_route()


_TYPES: Final = {
    "string": (str, datetime), "integer": (int,), "number": (float,), "boolean": (bool,), "array": (tuple,),
    "object": (dict,),
}  # fmt: skip


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the components."""
    reference = schema.get("$ref")
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def _json_schema(content: dict[str, Any]) -> dict[str, Any]:
    return _resolved(content.get("content", {}).get("application/json", {}).get("schema", {}))


def test_every_route_has_a_method() -> None:
    """Have a call for each operation of the instance, and none for what no node has."""
    assert set(OF_ROUTE) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_everything_that_can_be_sent_is_an_argument(operation: tuple[str, str]) -> None:
    """Have an argument for each query parameter, member of the body, id in the path, and idempotency key."""
    described, made = OPERATIONS[operation], [MADE[name] for name in OF_ROUTE[operation]]
    parameters = defaultdict(set)
    for one in described.get("parameters", []):
        parameters[one["in"]].add(one["name"])
    body = _json_schema(described.get("requestBody", {}))
    assert {name for call in made for name in call.query} == parameters["query"]
    assert {name for call in made for name in json.loads(call.body or b"{}")} == set(body.get("properties", {}))
    ids = set(re.findall(r"{(\w+)}", operation[1])) - {"organizationId"}
    assert all(len(call.ids) == len(ids) or call.ids == ("sample",) for call in made)
    takes_key = "Idempotency-Key" in parameters["header"]
    assert not takes_key or any(call.idempotency_key == "sample" for call in made)
    assert ("If-Match" in parameters["header"]) == any(call.if_match == "sample" for call in made)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_comes_back_is_a_value_with_every_member(name: str) -> None:
    """Have a field for each member of the response; one that may be absent has a default."""
    call = MADE[name]
    (kind,) = get_args(inspect.signature(FUNCTIONS[name]).return_annotation)
    responses = OPERATIONS[call.method, call.route]["responses"]
    schemas = [_json_schema(responses[status]) for status in sorted(responses, reverse=True) if status < "300"]
    schema = schemas[-1] if b'"preview"' in (call.body or b"") else schemas[0]
    if kind is NoneType:
        assert schema == {}
    else:
        _compare(schema, kind, name)


def _compare(schema: dict[str, Any], kind: Any, where: str) -> None:  # noqa: ANN401 a type
    """Compare a schema with a type, and what is inside of both."""
    schema = _resolved(schema)
    choices = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    kinds = [one for one in (get_args(kind) if NoneType in get_args(kind) else (kind,)) if one is not NoneType]
    if len(choices) != 1 or len(kinds) != 1:
        return
    schema, kind = _resolved(choices[0]), kinds[0]
    plain = get_origin(kind) or (dict if is_dataclass(kind) else kind)
    assert kind is Any or plain is Page or plain in _TYPES[schema["type"]], where
    assert (kind is datetime) or schema.get("format") != "date-time", where
    if get_origin(kind) is Page:
        items = schema["properties"]["data"]["items"]
        assert set(schema["properties"]) == {one.name for one in fields(Page)}
        _compare(items, get_args(kind)[0], f"{where}/data")
    elif get_origin(kind) is tuple and "items" in schema:
        _compare(schema["items"], get_args(kind)[0], f"{where}/items")
    elif get_origin(kind) is dict and isinstance(schema.get("additionalProperties"), dict):
        _compare(schema["additionalProperties"], get_args(kind)[1], f"{where}/*")
    elif is_dataclass(kind):
        _compare_object(schema, kind, where)


def _compare_object(schema: dict[str, Any], kind: Any, where: str) -> None:  # noqa: ANN401 a dataclass
    hints = get_type_hints(kind)
    members = {one.metadata.get("member", one.name): one for one in fields(kind)}
    assert set(schema["properties"]) - set(members) == set(), where
    required = {
        name for name, one in members.items() if one.default is MISSING and one.default_factory is MISSING
    }  # fmt: skip
    assert required - set(schema["required"]) == set(), where
    for name, inner in schema["properties"].items():
        _compare(inner, hints[members[name].name], f"{where}/{name}")


def test_a_post_that_makes_something_has_a_key() -> None:
    """Send an idempotency key exactly where the node honours one, and repeat no other POST that may do harm."""
    honoured = {
        operation
        for operation, described in OPERATIONS.items()
        if any(one["name"] == "Idempotency-Key" for one in described.get("parameters", []))
    }
    with_key = {name for name, call in MADE.items() if call.idempotency_key is not None}
    assert {(MADE[name].method, MADE[name].route) for name in with_key} == honoured
    repeated = {name for name, call in MADE.items() if call.method == "POST" and call.is_repeatable} - with_key
    assert calls.rotate_secret("wh_1").is_repeatable
    assert repeated == {
        "erase_subject", "import_event_types", "match_event", "preview_replay", "retry_all_refused_events",
        "retry_refused_events",
    }  # fmt: skip


def _methods(kind: type) -> Iterator[tuple[str, inspect.Signature]]:
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            yield name, inspect.signature(method)


@pytest.mark.parametrize("kind", [Packhook, AsyncPackhook])
def test_both_clients_have_a_method_for_each_call(kind: type) -> None:
    """Name the method as the call, with its parameters; read each list page by page with an ``iter_`` method."""
    methods = dict(_methods(kind))
    for name, function in FUNCTIONS.items():
        if name in NOT_METHODS:
            continue
        expected = inspect.signature(function)
        assert list(methods[name].parameters.values())[1:] == list(expected.parameters.values()), name
        read = get_args(expected.return_annotation)[0]
        assert methods[name].return_annotation == (None if read is NoneType else read)
        if get_origin(get_args(expected.return_annotation)[0]) is Page:
            iterating = methods["iter_" + re.sub("^(list|get)_", "", name)]
            assert list(iterating.parameters) == list(methods[name].parameters)
    assert {name: list(found.parameters) for name, found in _methods(Packhook)} == {
        name: list(found.parameters) for name, found in _methods(AsyncPackhook)
    }
