"""Who may use a route, decided before its body is read: a route class for each scope."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from packhook.api.bearer import bearer, refuse_repeated
from packhook.api.forwarded import source_of
from packhook.core.audit import MAX_USER_AGENT_LENGTH, OPERATOR, Actor
from packhook.service.authentication import Access, Principal

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

documented_bearer = Depends(
    HTTPBearer(auto_error=False, scheme_name="apiKey", description="The operator key or an organization's API key.")
)


def guard(scope: str | None, handle: Handler) -> Handler:
    """A handler for principals with ``scope`` (None: for the operator alone), of the organization in the path."""

    async def guarded_handler(request: Request) -> Response:
        refuse_repeated(request.scope["headers"])
        access: Access = request.app.state.service.access
        key = bearer(request.headers.get("authorization"))
        request.state.principal = await access.admit(key, scope, request.path_params.get("organizationId"))
        return await handle(request)

    return guarded_handler


class GuardedRoute(APIRoute):
    """FastAPI's route behind the guard."""

    scope: str | None = None

    def get_route_handler(self) -> Handler:
        """The route's own handler, guarded."""
        return guard(self.scope, super().get_route_handler())


def guarded(scope: str | None) -> type[GuardedRoute]:
    """The route class of a scope."""
    return type(f"Guarded_{scope}", (GuardedRoute,), {"scope": scope})


def actor_of(request: Request) -> Actor:
    """Who changes something with this request, and from where, for the audit trail."""
    principal = principal_of(request)
    said = request.headers.get("user-agent", "")[:MAX_USER_AGENT_LENGTH]
    return Actor(
        name=principal.api_key_id or OPERATOR,
        key_prefix=principal.prefix,
        source=_source(request),
        request_id=request.scope["packhook.request_id"],
        user_agent="".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in said),
    )


def _source(request: Request) -> str:
    """The connection's own address: what a header says of it anybody can write, unless a trusted proxy wrote it."""
    peer = "unknown" if request.client is None else request.client.host
    trusted = request.app.state.settings.trusted_proxies
    return source_of(peer, request.headers.getlist("x-forwarded-for"), trusted) if trusted else peer


def principal_of(request: Request) -> Principal:
    """Who sends this request, once the guard let it through."""
    principal: Principal = request.state.principal
    return principal
