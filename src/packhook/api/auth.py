"""Authentication of requests, before their body is read: a route class for each scope."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from packhook.api.forwarded import source_in
from packhook.api.headers import note_allowance
from packhook.api.idempotency import Repeated, begin
from packhook.api.parameters import refuse_query
from packhook.api.requests import bearer, idempotency_key, refuse_body, refuse_repeated
from packhook.core.audit import MAX_USER_AGENT_LENGTH, OPERATOR, Actor
from packhook.core.fairness import FairShare, Reservation
from packhook.service.authentication import Principal
from packhook.service.service import Service
from packhook.settings import Settings

_READS: Final = ("GET", "HEAD")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

documented_bearer = Depends(
    HTTPBearer(auto_error=False, scheme_name="apiKey", description="The operator key or an organization's API key.")
)


def authenticated(
    scope: str | None,
    handler: Handler,
    *,
    takes_idempotency_key: bool = False,
    takes_query: bool = True,
    takes_body: bool = True,
) -> Handler:
    """Wrap a handler: require ``scope`` (None: the operator key) in the organization of the path.

    ``takes_idempotency_key``: a request that was answered before gets its first response. ``takes_query``: the handler
    reads the query string, which is refused otherwise; ``takes_body``: the same of the body.
    """

    async def authenticated_handler(request: Request) -> Response:
        refuse_repeated(request.scope["headers"], (b"authorization",))
        service: Service = request.app.state.service
        secret = bearer(request.headers.get("authorization"))
        organization_id: str | None = request.path_params.get("organizationId")
        request.state.principal, allowance = await service.access.authenticate_and_authorize(
            secret, scope, organization_id, partial(_source, request)
        )
        note_allowance(request.scope, allowance)
        refuse_repeated(request.scope["headers"])
        if not takes_query:
            refuse_query(request.scope["query_string"])
        if not takes_body:
            await refuse_body(request)
        key = idempotency_key(request.headers.get("idempotency-key")) if takes_idempotency_key else None
        if key is not None:
            begin(request, service.repeatable(organization_id or "", key, secret))
        try:
            response = await handler(request)
        except Repeated as repeated:
            return repeated.response()
        if request.method in _READS:
            reservation_of(request).grow(len(response.body))
        return response

    return authenticated_handler


class AuthenticatedRoute(APIRoute):
    """Authenticate before FastAPI handles the request; count what a read buffers until its response is sent."""

    scope: str | None = None
    takes_idempotency_key = False
    takes_query = True
    takes_body = True

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request and send the response, with a reservation that both may grow."""
        reads: FairShare = scope["app"].state.service.history.reads
        with reads.reserve(scope["path_params"].get("organizationId", "")) as reservation:
            scope["packhook.reservation"] = reservation
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler, wrapped."""
        return authenticated(
            self.scope,
            super().get_route_handler(),
            takes_idempotency_key=self.takes_idempotency_key,
            takes_query=self.takes_query,
            takes_body=self.takes_body,
        )


def route_class(
    scope: str | None, *, takes_idempotency_key: bool = False, takes_query: bool = True, takes_body: bool = True
) -> type[AuthenticatedRoute]:
    """Return the route class of a scope."""
    attributes = {
        "scope": scope, "takes_idempotency_key": takes_idempotency_key, "takes_query": takes_query,
        "takes_body": takes_body,
    }  # fmt: skip
    return type(f"Authenticated_{scope}", (AuthenticatedRoute,), attributes)


def actor_of(request: Request) -> Actor:
    """Return who makes this request, and from where, for the audit trail."""
    return actor(request, principal_of(request), request.app.state.settings)


def actor(request: Request, principal: Principal, settings: Settings) -> Actor:
    """Return who makes a request, and from where, for the audit trail."""
    user_agent = request.headers.get("user-agent", "")[:MAX_USER_AGENT_LENGTH]
    return Actor(
        name=principal.api_key_id or OPERATOR,
        key_prefix=principal.prefix,
        source=source_in(request.scope, settings.trusted_proxies),
        request_id=request.scope["packhook.request_id"],
        user_agent="".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in user_agent),
    )


def _source(request: Request) -> str:
    """Return the client's address."""
    return source_in(request.scope, request.app.state.settings.trusted_proxies)


def reservation_of(request: Request) -> Reservation:
    """Return the reservation of the bytes that this read buffers."""
    reservation: Reservation = request.scope["packhook.reservation"]
    return reservation


def principal_of(request: Request) -> Principal:
    """Return the principal of an authenticated request."""
    principal: Principal = request.state.principal
    return principal
