"""Handlers of erasure: read the request, call the service once, serialize the result."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from packhook.api.auth import actor_of
from packhook.api.requests import read_shape
from packhook.api.responses import no_content, respond
from packhook.api.schemas.events import ErasureRequest

if TYPE_CHECKING:
    from packhook.service.service import Service


async def erase_event(request: Request) -> Response:
    """Erase the data of an event; that it was sent stays on record."""
    service: Service = request.app.state.service
    event_id = request.path_params["eventId"]
    await service.erasure.erase_event(request.path_params["organizationId"], event_id, actor_of(request))
    return no_content()


async def erase_subject(request: Request) -> Response:
    """Erase the data of all events of a subject."""
    service: Service = request.app.state.service
    body = await read_shape(request, ErasureRequest)
    done = await service.erasure.erase_subject(request.path_params["organizationId"], body.subject, actor_of(request))
    return respond({"subject": body.subject, "erased": done.events, "canceled": done.canceled})
