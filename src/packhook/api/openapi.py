"""The OpenAPI 3.1 document, generated from the route table, the schemas, and the event types of the instance.

::

    routes, schemas ─▶ a document once per process ─┬─▶ describe(catalogue): codes, publish bodies, webhooks section
    event types ────────────────────────────────────┘
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from packhook import __version__
from packhook.api.headers import RATE_LIMIT
from packhook.api.problems import MEDIA_TYPE, STATUS, TYPE_BASE
from packhook.api.publish.app import PublishHandler
from packhook.api.route import BASE, Route
from packhook.api.routes import ROUTES, Handler
from packhook.api.schemas.events import EVENT_CODE, PUBLISHED_CODE, EventPublish
from packhook.api.schemas.problems import HealthStatus, Problem
from packhook.core import errors
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.model import EventType
from packhook.core.schema_walk import replaced_references
from packhook.service.authentication import ANY_KEY

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = (
    "Pack Cloud's webhook API, REST v1 as of 2 August 2024, with events, deliveries and access control by packhook. "
    "Errors are RFC 9457 problems; what receivers get is signed by Standard Webhooks 1.0.0."
)
_SIGNED_HEADERS: Final = {
    "webhook-id": "The event's id: the same over retries and replays.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one token for each live secret.",
    "webhook-event": "The event code.",
    "webhook-attempt": "The number of this attempt, from 1.",
}
_COMPONENT_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_LICENSE: Final = {"name": "MIT", "identifier": "MIT"}
_NO_KEY: Final[list[Any]] = []
"""The security of what needs no API key."""

_HEADERS: Final[dict[str, Any]] = {
    "Location": {"description": "The URL of what was created.", "schema": {"type": "string", "format": "uri"}},
    "ETag": {"description": "The entity tag, for `If-Match` and `If-None-Match`.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "The response was given before, to the first request with this `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "In how many seconds to try again.", "schema": {"type": "integer", "minimum": 1}},
    **{
        name: {
            "description": f"{description} Only for keys with a rate limit.",
            "schema": {"type": "integer", "minimum": 0},
        }
        for name, description in RATE_LIMIT.items()
    },
}
_HEADERS_OF: Final = {429: ("Retry-After", *RATE_LIMIT), 503: ("Retry-After",)}
_EXAMPLES: Final[dict[str, Any]] = {
    "id": "evt_01910fd0c1c87000800000000000abcd",
    "timestamp": "2024-08-02T09:30:00.000Z",
    "organization_id": "acme",
}


def describe(catalogue: Catalogue = BUILT_IN, server: str = "") -> dict[str, Any]:
    """Return the document of an instance with these event types; ``server``: its URL, "": where the document is."""
    codes = {
        tuple(EVENT_CODE["enum"]): list(catalogue.types),
        tuple(PUBLISHED_CODE["enum"]): [found.code for found in catalogue.published],
    }
    described: dict[str, Any] = _with_codes(_of_routes(), codes)
    described["servers"] = [{"url": server or "/"}]
    schemas = described["components"]["schemas"]
    for found in catalogue.live.values():
        schemas |= _data_schemas(found)
    schemas[EventPublish.__name__] |= _publish_schema(catalogue)
    described["components"]["schemas"] = dict(sorted(schemas.items()))
    for content in _publish_contents(described["paths"]):
        content["examples"] = _published_examples(catalogue)
    described["webhooks"] = {code: {"post": _outgoing(found)} for code, found in catalogue.live.items()}
    return described


@cache
def _of_routes() -> dict[str, Any]:
    """Return the part that does not depend on the instance; do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "packhook", "version": __version__, "description": _DESCRIPTION, "license": _LICENSE},
        "servers": [],
        "paths": _paths(),
        "webhooks": {},
        "components": {
            "schemas": _schemas(),
            "headers": _HEADERS,
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _with_codes(part: Any, codes: dict[tuple[str, ...], list[str]]) -> Any:  # noqa: ANN401 any part of the document
    """Return a copy of a part, with the codes of the instance in place of the built-in ones."""
    if isinstance(part, dict):
        return {name: _with_codes(value, codes) for name, value in part.items()}
    if not isinstance(part, list):
        return part
    if part and isinstance(part[0], str):
        return codes.get(tuple(part), list(part))
    return [_with_codes(one, codes) for one in part]


# --- event types


def _component(event_type: EventType) -> str:
    """Return the name of the schema of its data: the title of a built-in one, otherwise the code."""
    title = (event_type.schema or {}).get("title")
    return title if event_type.is_built_in and isinstance(title, str) else event_type.code


def _data_schemas(event_type: EventType) -> dict[str, Any]:
    """Return the schema of its data as components: the definitions in it are components, too, for tools that need that.

    What refers to something in the schema refers to the component where it is.
    """
    name, schema = _component(event_type), event_type.schema or {"type": "object"}
    definitions = [found for found in schema.get("$defs", {}) if _COMPONENT_NAME.fullmatch(found)]
    places = {f"#/$defs/{found}": f"{name}-{found}" for found in definitions}

    def place_of(reference: str) -> str:
        found = re.match(r"#/\$defs/[^/]+", reference)
        if found is not None and found[0] in places:
            return _REF.format(model=places[found[0]]) + reference.removeprefix(found[0])
        return _REF.format(model=name) + reference.removeprefix("#")

    whole = replaced_references(schema, place_of)
    inner = whole.get("$defs", {})
    left = {found: inner[found] for found in inner if found not in definitions}
    outer = {keyword: value for keyword, value in whole.items() if keyword not in ("$id", "$schema", "$defs")}
    outer |= {"$defs": left} if left else {}
    if "properties" in outer and "unevaluatedProperties" not in outer:
        outer.setdefault("additionalProperties", True)  # what holds anyway: some tools take its absence for false
    if event_type.example is not None:
        outer["examples"] = [event_type.example]
    return {name: outer, **{f"{name}-{found}": _titled(inner[found], f"{name}-{found}") for found in definitions}}


def _titled(schema: object, title: str) -> object:
    """Return a schema with a title that no other one has: tools name what they generate by it."""
    return {**schema, "title": title} if isinstance(schema, dict) else schema


def _publish_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return what the body of a publish is: of each schema, the codes that have it."""
    codes: dict[str, list[str]] = {}
    for found in catalogue.published:
        codes.setdefault(_component(found), []).append(found.code)
    branches = [
        {
            "type": "object",
            "properties": {"event_code": {"enum": of_schema}, "data": {"$ref": _REF.format(model=name)}},
            "required": ["event_code", "data"],
        }
        for name, of_schema in codes.items()
    ]
    return {"oneOf": branches} if len(branches) > 1 else branches[0]


def _publish_contents(paths: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield the body of the route that publishes one event."""
    for path in paths.values():
        content = path.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if content.get("schema") == _ref(EventPublish):
            yield content


def _published_examples(catalogue: Catalogue) -> dict[str, Any]:
    return {
        found.code: {"value": {"event_code": found.code, "data": found.example}}
        for found in catalogue.published
        if found.example is not None
    }


# --- routes


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route)
    for path, summary in (("/health", "Check that the process is alive."), ("/ready", "Check that everything works.")):
        text = {"text/plain": {"schema": {"type": "string"}}}
        responses = {"200": _response("Success.", HealthStatus)}
        responses["400"] = {"description": "The request is not valid HTTP/1.1.", "content": text}
        responses |= {} if path == "/health" else _problems(errors.Unavailable)
        check = {"operationId": path[1:], "tags": ["process"], "summary": summary, "security": _NO_KEY}
        paths[path] = {"get": {**check, "responses": responses}}
    return paths


def _operation(route: Route[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.handler),
        "tags": [route.tag],
        "summary": _summary(route.handler),
        "description": _access(route),
        "security": [{"apiKey": []}],
        "parameters": _parameters(route),
        "responses": {
            str(route.status): _response("Success.", route.response, _headers_given(route)),
            **{str(status): _response("Success.", model, tuple(RATE_LIMIT)) for status, model in route.also.items()},
            **(
                {"304": _response("Not modified.", None, ("ETag",))} if route.method == "GET" and route.has_etag else {}
            ),
            **_problems(*route.all_errors()),
        },
    }
    if route.body is not None:
        required = not route.is_body_optional
        operation["requestBody"] = {"required": required, "content": {"application/json": _content(route.body)}}
    return operation


def _access(route: Route[Any]) -> str:
    if route.scope is None:
        return "Only with the operator key."
    return "With any key." if route.scope == ANY_KEY else f"Scope: {route.scope}."


def _operation_id(handler: Handler | PublishHandler) -> str:
    return handler.name if isinstance(handler, PublishHandler) else str(getattr(handler, "__name__"))  # noqa: B009 a callable need not have one


def _summary(handler: Handler | PublishHandler) -> str:
    return handler.summary if isinstance(handler, PublishHandler) else (handler.__doc__ or "").strip()


def _parameters(route: Route[Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        parameters += [
            {"name": name, "in": "query", "description": parameter.description, "schema": dict(parameter.schema)}
            for name, parameter in route.query.parameters.items()
        ]
    return parameters + _headers_taken(route)


def _headers_given(route: Route[Any]) -> tuple[str, ...]:
    """Return the headers of its response."""
    given = {
        "Location": route.has_location,
        "ETag": route.has_etag,
        "Idempotent-Replayed": route.takes_idempotency_key,
        **dict.fromkeys(RATE_LIMIT, True),
    }
    return tuple(name for name, is_given in given.items() if is_given)


def _headers_taken(route: Route[Any]) -> list[dict[str, Any]]:
    """Return the parameters that are headers."""
    tag: dict[str, Any] = {"type": "string"}
    key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
    taken = {
        "Idempotency-Key": (route.takes_idempotency_key, key, "Within 24 hours the same key does this once."),
        "If-Match": (route.takes_if_match, tag, "The `ETag` that was read, or `*`: only if it was not changed since."),
        "If-None-Match": (route.method == "GET" and route.has_etag, tag, "The `ETag` of a response that you have."),
    }
    return [
        {"name": name, "in": "header", "description": description, "schema": schema}
        for name, (is_taken, schema, description) in taken.items()
        if is_taken
    ]


def _problems(*kinds: type[errors.PackhookError]) -> dict[str, Any]:
    """Describe the responses of these errors. Errors with one status share a response, with an example for each."""
    responses: dict[str, Any] = {}
    for kind in kinds:
        examples = {kind.code: _example_problem(kind)}
        content = {MEDIA_TYPE: {"schema": _ref(Problem), "examples": examples}}
        described = {"description": kind.title(), "content": content, **_headers(_HEADERS_OF.get(STATUS[kind], ()))}
        response = responses.setdefault(str(STATUS[kind]), described)
        response["content"][MEDIA_TYPE]["examples"] |= examples
    return responses


def _example_problem(kind: type[errors.PackhookError]) -> dict[str, Any]:
    value = {"type": TYPE_BASE + kind.code, "title": kind.title(), "status": STATUS[kind], "detail": "…"}
    return {"value": value}


def _response(description: str, model: type[BaseModel] | None, headers: Iterable[str] = ()) -> dict[str, Any]:
    content = {} if model is None else {"content": {"application/json": _content(model)}}
    return {"description": description, **_headers(headers), **content}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    found = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {"headers": found} if found else {}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": _ref(model)}


def _outgoing(event_type: EventType) -> dict[str, Any]:
    """Describe one event as a receiver gets it."""
    code = event_type.code
    schema = {
        "type": "object",
        "required": ["id", "type", "timestamp", "organization_id", "data"],
        "properties": {
            "id": {"type": "string"},
            "type": {"const": code},
            "timestamp": {"type": "string", "format": "date-time"},
            "organization_id": {"type": "string"},
            "data": {"$ref": _REF.format(model=_component(event_type))},
        },
    }
    data = {} if event_type.example is None else event_type.example
    example = {"id": _EXAMPLES["id"], "type": code, **_EXAMPLES, "data": data}
    return {
        "operationId": f"receive_{code.replace('.', '_')}",
        "summary": event_type.description or f"An event {code}",
        "security": _NO_KEY,
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": description, "schema": {"type": "string"}}
            for name, description in _SIGNED_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Gone. Two of them, a minute apart, disable the webhook."},
            "429": {"description": "Slow down. Retry-After is honoured."},
            "default": {"description": "Retried by the schedule."},
        },
    }


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    used = [(route.body, route.response, *route.also.values()) for route in ROUTES]
    models = {model for of_route in used for model in of_route if model is not None}
    models |= {Problem, HealthStatus}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, generated = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    schemas: dict[str, Any] = generated["$defs"]
    return schemas
