"""Handlers of the event type routes, and of test events, which send their examples."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from packhook.api import parameters, serializers
from packhook.api.auth import actor_of
from packhook.api.etags import unless_known, versions_to_match, with_tag
from packhook.api.idempotency import respond_once
from packhook.api.requests import read_optional_shape, read_shape
from packhook.api.responses import created, no_content, respond, respond_page
from packhook.api.schemas.event_types import (
    MAX_BODY,
    MAX_IMPORT,
    EventTypeChoice,
    EventTypeCreate,
    EventTypeImport,
    EventTypeUpdate,
)
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.event_schema import MAX_ERRORS
from packhook.core.event_type_rules import rules_broken
from packhook.core.model import EventType
from packhook.service.event_types import MAX_EVENT_TYPES, Definition, EventTypes
from packhook.service.service import Service


def _event_types(request: Request) -> EventTypes:
    service: Service = request.app.state.service
    return service.event_types


async def list_event_types(request: Request) -> Response:
    """List event types by code: the built-in ones, and the instance's own."""
    page, where = parameters.EVENT_TYPES.read(request.query_params, request.url.path)
    found = await _event_types(request).list(page, archived=where.archived)
    return respond_page(request, page, found, serializers.event_type)


async def get_event_type(request: Request) -> Response:
    """Get an event type."""
    found = await _event_types(request).get(request.path_params["code"])
    return unless_known(request, _respond_event_type(found))


async def create_event_type(request: Request) -> Response:
    """Create an event type."""
    body = await read_shape(request, EventTypeCreate, MAX_BODY, rules_broken)
    create = partial(_event_types(request).create, body.code, body.definition(), actor_of(request))
    return await respond_once(
        request, create, lambda made: with_tag(created(request, serializers.event_type(made), made.code), made.version)
    )


async def update_event_type(request: Request) -> Response:
    """Update an event type: an absent field stays as it is, and so do the events that were published."""
    body = await read_shape(request, EventTypeUpdate, MAX_BODY, rules_broken)
    after = await _event_types(request).update(
        request.path_params["code"],
        body.changes(),
        actor_of(request),
        force=body.force,
        versions=versions_to_match(request),
    )
    return _respond_event_type(after)


async def archive_event_type(request: Request) -> Response:
    """Archive an event type: no event of it can be published any more."""
    await _event_types(request).archive(request.path_params["code"], actor_of(request), versions_to_match(request))
    return no_content()


def _respond_event_type(event_type: EventType) -> Response:
    return with_tag(respond(serializers.event_type(event_type)), event_type.version)


async def import_event_types(request: Request) -> Response:
    """Make many event types what they are said to be, all or none; with `preview`, only say what would change."""
    body = await read_shape(request, EventTypeImport, MAX_IMPORT, _rules_broken_of_many)
    planned = await _event_types(request).import_all(
        definitions_of(body), actor_of(request), force=body.force, preview=body.preview
    )
    return respond({"data": list(map(serializers.planned_change, planned))})


def _rules_broken_of_many(body: object) -> list[FieldError]:
    given = body.get("event_types") if isinstance(body, dict) else None
    definitions = given if isinstance(given, list) else []
    found: list[FieldError] = []
    for number, one in enumerate(definitions[:MAX_EVENT_TYPES]):
        if len(found) >= MAX_ERRORS:
            break
        found += rules_broken(one, f"/event_types/{number}")
    return found[:MAX_ERRORS]


def definitions_of(body: EventTypeImport) -> dict[str, Definition]:
    """Return what an import says, by code. Raises InvalidInput where a code stands twice."""
    definitions = {one.code: one.whole() for one in body.event_types}
    if len(definitions) < len(body.event_types):
        codes = [one.code for one in body.event_types]
        repeated = [number for number, code in enumerate(codes) if code in codes[:number]]
        raise InvalidInput(
            [FieldError(f"/event_types/{number}/code", "repeated", "this code came before") for number in repeated]
        )
    return definitions


async def test_webhook(request: Request) -> Response:
    """Send a signed example event now, and return the exchange."""
    body = await read_optional_shape(request, EventTypeChoice)
    service: Service = request.app.state.service
    event, attempt, verdict = await service.test_events.send(
        request.path_params["organizationId"], request.path_params["webhookId"], actor_of(request), body.event_code
    )
    return respond(
        {
            "event": serializers.event(event),
            "attempt": serializers.attempt(attempt),
            "delivered": not verdict.error_code,
        }
    )
