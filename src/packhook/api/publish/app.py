"""The publish routes, outside FastAPI: find the route of a request target, and respond to the request.

Authentication, errors, limits and headers are those of every other route.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Final, NamedTuple
from urllib.parse import unquote

import httptools
from starlette.types import Receive, Scope

from packhook.api.bodies import read_body
from packhook.api.forwarded import source_in
from packhook.api.problems import fault_response, problem_response
from packhook.api.publish.handlers import PublishHandler
from packhook.api.request_head import bearer, has_encoded_separator, refuse_repeated
from packhook.api.routes import BASE, ORGANIZATION, PUBLISH_ROUTES, Route
from packhook.core.errors import PackhookError
from packhook.service.service import Service
from packhook.settings import Settings

MAX_CACHED_TARGETS: Final = 4_096
MAX_CACHED_TARGET_BYTES: Final = 256

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]
_ROUTES: Final = {route.path.removeprefix(ORGANIZATION + "/"): route for route in PUBLISH_ROUTES}

PublishRoute = Route[PublishHandler]


class Response(NamedTuple):
    """Hold a whole response: its status, headers (names in lower case), and body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Respond = Callable[[Scope, Receive], Awaitable[Response]]
"""Respond to one request. Unlike an ASGI application it returns the response, in one piece."""


class PublishApp:
    """Respond to the publish routes."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self.max_connections: Final = settings.max_connections
        self._max_body_bytes = settings.max_buffered_body_bytes
        self._match_cached = lru_cache(MAX_CACHED_TARGETS)(self._match)

    def match(self, target: bytes) -> Respond | None:
        """Return what responds to a POST of this request target; None if it is not a publish route.

        Raises HttpParserInvalidURLError for a target that is not valid.
        """
        return self._match_cached(target) if len(target) <= MAX_CACHED_TARGET_BYTES else self._match(target)

    def _match(self, target: bytes) -> Respond | None:
        raw_path: bytes | None = httptools.parse_url(target).path
        if raw_path is None or has_encoded_separator(raw_path):
            return None
        path = unquote(raw_path.decode("latin-1"))
        organization_id, _, rest = path.removeprefix(_PREFIX).partition("/")
        route = _ROUTES.get(rest)
        if not path.startswith(_PREFIX) or not organization_id or route is None:
            return None
        return partial(self._respond, route, organization_id)

    async def _respond(self, route: PublishRoute, organization_id: str, scope: Scope, receive: Receive) -> Response:
        try:
            return await self._publish(route, organization_id, scope, receive)
        except PackhookError as error:
            problem = problem_response(error)
        except Exception as error:  # noqa: BLE001 a bug: the client gets a response, the log the traceback
            problem = fault_response(scope, error)
        return Response(problem.status_code, problem.raw_headers, bytes(problem.body))

    async def _publish(self, route: PublishRoute, organization_id: str, scope: Scope, receive: Receive) -> Response:
        """Authenticate and authorize before the body is read; then read, decode and publish it."""
        raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(raw_headers)
        has_repeated = len(headers) < len(raw_headers)
        if has_repeated:
            refuse_repeated(raw_headers, (b"authorization",))
        await self._service.access.authenticate_and_authorize(
            bearer(_text(headers, b"authorization")),
            route.scope,
            organization_id,
            partial(source_in, scope, self._settings.trusted_proxies),
        )
        if has_repeated:
            refuse_repeated(raw_headers)
        handler = route.handler
        limit = min(handler.max_body_bytes(self._settings), self._max_body_bytes)
        with self._service.bodies.reserve(organization_id) as reservation:
            body = await read_body(headers, receive, limit, reservation.grow)
            key = _text(headers, b"idempotency-key")
            content = await handler.publish(self._service, organization_id, key, body)
        length = b"%d" % len(content)
        return Response(route.status, [(b"content-type", b"application/json"), (b"content-length", length)], content)


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
