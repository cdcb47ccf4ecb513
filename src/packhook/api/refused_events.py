"""Handlers of events that were given up."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from packhook.api import parameters
from packhook.api.auth import actor_of
from packhook.api.requests import read_optional_shape
from packhook.api.responses import no_content, respond, respond_page
from packhook.api.schemas.refused_events import RefusedEventsOfAllRetry, RefusedEventsRetry
from packhook.core.clock import from_rfc3339, to_rfc3339
from packhook.store.refused_events import RefusedEvent

if TYPE_CHECKING:
    from packhook.api.serializers import Body
    from packhook.service.refused_events import RefusedEvents


async def list_all_refused_events(request: Request) -> Response:
    """List the events of all organizations that were given up, newest first."""
    page, where = parameters.REFUSED_EVENTS_ALL.read(request.query_params, request.url.path)
    return respond_page(request, page, await _refused_events(request).list_all(page, where), _refused_event)


async def list_refused_events(request: Request) -> Response:
    """List the events that were given up, newest first."""
    page, _ = parameters.REFUSED_EVENTS.read(request.query_params, request.url.path)
    found = await _refused_events(request).list(request.path_params["organizationId"], page)
    return respond_page(request, page, found, _refused_event)


async def retry_event(request: Request) -> Response:
    """Make the deliveries of an event that was given up, at once."""
    names = request.path_params
    event = await _refused_events(request).retry(names["organizationId"], names["eventId"], actor_of(request))
    return respond(_refused_event(event), 202)


async def retry_events(request: Request) -> Response:
    """Make the deliveries of the events that were given up, at once."""
    body = await read_optional_shape(request, RefusedEventsRetry)
    return await _retry_all(request, request.path_params["organizationId"], body)


async def retry_all_events(request: Request) -> Response:
    """Make the deliveries of the events of all organizations that were given up, at once."""
    body = await read_optional_shape(request, RefusedEventsOfAllRetry)
    return await _retry_all(request, body.organization_id or None, body)


async def _retry_all(request: Request, organization_id: str | None, body: RefusedEventsRetry) -> Response:
    until = from_rfc3339(body.refused_until) if body.refused_until else None
    done = await _refused_events(request).retry_all(organization_id, until, actor_of(request))
    said = {"retried": done.retried, "has_more": done.has_more, "refused_until": to_rfc3339(done.refused_until)}
    return respond(said, 202)


async def discard_event(request: Request) -> Response:
    """Discard an event that was given up: it stays without deliveries."""
    names = request.path_params
    await _refused_events(request).discard(names["organizationId"], names["eventId"], actor_of(request))
    return no_content()


def _refused_events(request: Request) -> "RefusedEvents":
    found: RefusedEvents = request.app.state.service.refused_events
    return found


def _refused_event(event: RefusedEvent) -> "Body":
    return {
        "id": event.id,
        "organization_id": event.organization_id,
        "event_code": event.event_code,
        "created_at": to_rfc3339(event.created_at),
        "refused_at": to_rfc3339(event.refused_at),
        "reason": event.reason,
    }
