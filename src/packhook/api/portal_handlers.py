"""Handlers of portal sessions."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from packhook.api.auth import actor_of, principal_of
from packhook.api.idempotency import respond_once
from packhook.api.requests import read_shape
from packhook.api.responses import base_url, respond
from packhook.api.schemas.portal import PortalSessionCreate
from packhook.core.clock import to_rfc3339
from packhook.core.portal import PortalSession
from packhook.service import rules
from packhook.service.service import Service

OPEN_PATH = "/portal/open"
"""Where a link is opened; its token is in the query."""


async def create_portal_session(request: Request) -> Response:
    """Create a link to the portal that works once."""
    body = await read_shape(request, PortalSessionCreate)
    service: Service = request.app.state.service
    create = partial(
        service.portal.create,
        str(request.path_params["organizationId"]),
        body.capabilities,
        rules.portal_lasting(body.expires_in),
        principal_of(request),
        actor_of(request),
    )

    def render(made: tuple[str, PortalSession]) -> Response:
        token, session = made
        url = f"{base_url(request)}{OPEN_PATH}?token={token}"
        return respond({"url": url, "expires_at": to_rfc3339(session.expires_at)}, 201)  # no Location: logs have it

    return await respond_once(request, create, render)
