"""The handler that matches an event with a webhook."""

from starlette.requests import Request
from starlette.responses import Response

from packhook.api.requests import read_shape
from packhook.api.responses import respond
from packhook.api.schemas.matching import MatchRequest
from packhook.core.subscription import PAUSED
from packhook.service.service import Service


async def match_event(request: Request) -> Response:
    """Say whether a webhook would get an event, and why not."""
    service: Service = request.app.state.service
    body = await read_shape(request, MatchRequest)
    organization_id, webhook_id = request.path_params["organizationId"], request.path_params["webhookId"]
    if body.event_id:
        found = await service.matching.match_stored(organization_id, webhook_id, body.event_id)
    else:
        found = await service.matching.match(organization_id, webhook_id, body.event_code, body.data)
    return respond(
        {
            "matches": found.matches,
            "reasons": found.reasons,
            "filter_error": found.filter_error or None,
            "held_reason": PAUSED if found.waits else None,
        }
    )
