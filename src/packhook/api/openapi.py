"""The OpenAPI 3.1 document, generated from the route table and the schemas."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from packhook import __version__
from packhook.api.problems import MEDIA_TYPE, STATUS, TYPE_BASE
from packhook.api.publish.app import PublishHandler
from packhook.api.publish.order import Order
from packhook.api.route import BASE, Route
from packhook.api.routes import ROUTES, Handler
from packhook.api.schemas.events import EventPublish
from packhook.api.schemas.problems import HealthStatus, Problem
from packhook.core import errors
from packhook.core.event_types import EVENT_TYPES, PUBLISHED_CODES
from packhook.core.model import EventType
from packhook.core.operational_data import DATA_OF

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
_EXAMPLES: Final[dict[str, Any]] = {
    "id": "evt_01910fd0c1c87000800000000000abcd",
    "timestamp": "2024-08-02T09:30:00.000Z",
    "organization_id": "acme",
}


def describe() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "packhook", "version": __version__, "description": _DESCRIPTION},
        "paths": _paths(),
        "webhooks": {code: {"post": _outgoing(event_type)} for code, event_type in EVENT_TYPES.items()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route)
    for path, summary in (("/health", "Check that the process is alive."), ("/ready", "Check that everything works.")):
        responses = {"200": _response("Success.", HealthStatus)}
        responses |= {} if path == "/health" else _problems(errors.Unavailable)
        paths[path] = {
            "get": {"operationId": path[1:], "tags": ["process"], "summary": summary, "responses": responses}
        }
    return paths


def _operation(route: Route[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.handler),
        "tags": [route.tag],
        "summary": _summary(route.handler),
        "description": f"Scope: {route.scope}." if route.scope else "Only with the operator key.",
        "security": [{"apiKey": []}],
        "parameters": _parameters(route),
        "responses": {
            str(route.status): _response("Success.", route.response),
            **{str(status): _response("Success.", model) for status, model in route.also.items()},
            **_problems(*route.all_errors()),
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": _content(route.body)}}
    return operation


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
    if route.takes_idempotency_key:
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return parameters


def _problems(*kinds: type[errors.PackhookError]) -> dict[str, Any]:
    """Describe the responses of these errors. Errors with one status share a response, with an example for each."""
    responses: dict[str, Any] = {}
    for kind in kinds:
        examples = {kind.code: _example_problem(kind)}
        content = {MEDIA_TYPE: {"schema": _ref(Problem), "examples": examples}}
        response = responses.setdefault(str(STATUS[kind]), {"description": kind.title(), "content": content})
        response["content"][MEDIA_TYPE]["examples"] |= examples
    return responses


def _example_problem(kind: type[errors.PackhookError]) -> dict[str, Any]:
    value = {"type": TYPE_BASE + kind.code, "title": kind.title(), "status": STATUS[kind], "detail": "…"}
    return {"value": value}


def _response(description: str, model: type[BaseModel] | None) -> dict[str, Any]:
    return {"description": description} | ({} if model is None else {"content": {"application/json": _content(model)}})


def _content(model: type[BaseModel]) -> dict[str, Any]:
    if model is EventPublish:
        examples = {
            code: {"value": {"event_code": code, "data": EVENT_TYPES[code].example}} for code in PUBLISHED_CODES
        }
        return {"schema": _ref(model), "examples": examples}
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
            "data": _ref(DATA_OF.get(code, Order)),
        },
    }
    example = {"id": _EXAMPLES["id"], "type": code, **_EXAMPLES, "data": event_type.example}
    return {
        "operationId": f"receive_{code.replace('.', '_')}",
        "summary": event_type.description,
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


def _ref(model: type[BaseModel | Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    used = [(route.body, route.response, *route.also.values()) for route in ROUTES]
    models = {model for of_route in used for model in of_route if model is not None}
    models |= {Problem, HealthStatus, Order}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, generated = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    _, operational = msgspec.json.schema_components(DATA_OF.values(), ref_template=_REF.replace("model", "name"))
    return dict(sorted((generated["$defs"] | operational).items()))
