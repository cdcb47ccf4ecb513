"""The API's own description (OpenAPI 3.1), made from the table of routes and the shapes."""

import re
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from packhook import __version__
from packhook.api import shapes
from packhook.api.problems import MEDIA_TYPE, STATUS, TYPE_BASE
from packhook.api.publish.handlers import PublishHandler
from packhook.api.publish.order import Order
from packhook.api.routes import BASE, PUBLISH_ROUTES, ROUTES, Handler, Route
from packhook.core import errors
from packhook.core.audit import Action
from packhook.core.model import EVENT_CODES, DeliveryStatus
from packhook.service.example import example_order

_REF: Final = "#/components/schemas/{model}"
_ABOUT: Final = (
    "Pack Cloud's webhook API, REST v1 as of 2 August 2024, with events, deliveries and access by packhook. "
    "Errors are RFC 9457 problems; what receivers get is signed by Standard Webhooks 1.0.0."
)
_EVENT_CODE: Final = {"type": "string", "enum": list(EVENT_CODES)}
_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100, "default": 25},
    "cursor": {"type": "string", "description": "From a prev or next link."},
    "event_code": _EVENT_CODE,
    "enabled": {"type": "boolean"},
    "webhook_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
    "event_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
    "organization_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
    "action": {"type": "string", "enum": list(Action)},
    "actor": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{1,100}$",
        "description": "`operator`, `packhook` or an API key's id.",
    },
    "object_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
    "status": {"type": "string", "enum": list(DeliveryStatus)},
    "since": {"type": "string", "format": "date-time"},
    "until": {"type": "string", "format": "date-time"},
}
_SIGNED: Final = {
    "webhook-id": "The event's id: the same over retries and replays.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one token for each live secret.",
    "webhook-event": "The event code.",
    "webhook-attempt": "Which attempt this is, from 1.",
}
_EXAMPLES: Final[dict[str, Any]] = {
    "id": "evt_01910fd0c1c87000800000000000abcd",
    "timestamp": "2024-08-02T09:30:00.000Z",
    "organization_id": "acme",
}


def describe() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "packhook", "version": __version__, "description": _ABOUT},
        "paths": _paths(),
        "webhooks": {code: {"post": _outgoing(code)} for code in EVENT_CODES},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route)
    for path, about in (("/health", "The process is alive."), ("/ready", "Everything works.")):
        answers = {"200": _answer(about, shapes.Health)} | ({} if path == "/health" else _problems(errors.Unavailable))
        paths[path] = {"get": {"operationId": path[1:], "tags": ["process"], "summary": about, "responses": answers}}
    return paths


def _operation(route: Route[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _named(route.handler),
        "tags": [_tag(route)],
        "summary": _summarized(route.handler),
        "description": f"Scope: {route.scope}." if route.scope else "Only with the operator key.",
        "security": [{"apiKey": []}],
        "parameters": _parameters(route),
        "responses": {str(route.status): _answer("Done.", route.answer)} | _problems(*_errors(route)),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": _content(route.body)}}
    return operation


def _named(handler: Handler | PublishHandler) -> str:
    return handler.name if isinstance(handler, PublishHandler) else str(getattr(handler, "__name__"))  # noqa: B009 a callable need not have one


def _summarized(handler: Handler | PublishHandler) -> str:
    return handler.summary if isinstance(handler, PublishHandler) else (handler.__doc__ or "").strip()


def _tag(route: Route[Any]) -> str:
    return next(
        part
        for part in ("audit", "api-keys", "webhooks", "events", "deliveries", "organizations", "master-key")
        if part in route.path
    )


def _parameters(route: Route[Any]) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": _PARAMETERS[name]} for name in route.query]
    if route in PUBLISH_ROUTES:
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return parameters


def _errors(route: Route[Any]) -> list[type[errors.PackhookError]]:
    kinds: list[type[errors.PackhookError]] = [
        errors.Unauthorized,
        errors.Forbidden,
        errors.RateLimited,
        errors.Unavailable,
    ]
    if "{" in route.path:
        kinds.append(errors.NotFound)
    if route.body is not None:
        kinds += [errors.MalformedBody, errors.BodyTooLarge, errors.UnsupportedMediaType, errors.InvalidInput]
    if route.query or route in PUBLISH_ROUTES:
        kinds.append(errors.InvalidInput)
    if (
        route in PUBLISH_ROUTES
        or (route.method, route.path) == ("POST", "/organizations")
        or route.path.endswith(("/retry", "/rotate", "/verify"))
        or route.method == "PUT"
    ):
        kinds.append(errors.Conflict)
    return kinds


def _problems(*kinds: type[errors.PackhookError]) -> dict[str, Any]:
    return {
        str(STATUS[kind]): {
            "description": kind.title(),
            "content": {MEDIA_TYPE: {"schema": _ref(shapes.Problem), "examples": {kind.code: _example_problem(kind)}}},
        }
        for kind in kinds
    }


def _example_problem(kind: type[errors.PackhookError]) -> dict[str, Any]:
    value = {"type": TYPE_BASE + kind.code, "title": kind.title(), "status": STATUS[kind], "detail": "…"}
    return {"value": value}


def _answer(about: str, model: type[BaseModel] | None) -> dict[str, Any]:
    return {"description": about} | ({} if model is None else {"content": {"application/json": _content(model)}})


def _content(model: type[BaseModel]) -> dict[str, Any]:
    if model is shapes.EventPublish:
        examples = {code: {"value": {"event_code": code, "data": example_order(code)}} for code in EVENT_CODES}
        return {"schema": _ref(model), "examples": examples}
    return {"schema": _ref(model)}


def _outgoing(code: str) -> dict[str, Any]:
    """One event as a receiver gets it."""
    schema = {
        "type": "object",
        "required": ["id", "type", "timestamp", "organization_id", "data"],
        "properties": {
            "id": {"type": "string"},
            "type": {"const": code},
            "timestamp": {"type": "string", "format": "date-time"},
            "organization_id": {"type": "string"},
            "data": _ref(Order),
        },
    }
    example = {"id": _EXAMPLES["id"], "type": code, **_EXAMPLES, "data": example_order(code)}
    return {
        "operationId": f"receive_{code.replace('.', '_')}",
        "summary": f"An order was {code.partition('.')[2]}",
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
            for name, about in _SIGNED.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Gone: twice, a minute apart, disables the webhook."},
            "429": {"description": "Slow down: Retry-After is honoured."},
            "default": {"description": "Tried again by the schedule."},
        },
    }


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    models = {model for route in ROUTES for model in (route.body, route.answer) if model is not None}
    models |= {shapes.Problem, shapes.Health, Order}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, made = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    return dict(sorted(made["$defs"].items()))
