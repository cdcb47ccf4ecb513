"""Handlers of events that were given up."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from packhook.api import parameters
from packhook.api.auth import actor_of
from packhook.api.responses import no_content, respond, respond_page
from packhook.core.clock import to_rfc3339
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
