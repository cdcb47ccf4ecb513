"""The door: publishing goes round FastAPI's machinery, with the same access, errors and headers as everything else.

::

    bytes ─▶ protocol.py ─┬─ lean (find) ─▶ exchange.py ─ access ─▶ api/publish.py ─▶ 202
                          └─ ASGI ─▶ Door ─┬─ lean, spelled otherwise ─▶ the same handler
                                           └─ everything else ─▶ FastAPI (app.py)
"""

import asyncio
from functools import lru_cache
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.bearer import bearer, refuse_repeated
from packhook.api.bodies import read_body
from packhook.api.headers import Headers
from packhook.api.held import HeldBodies, Hold
from packhook.api.lean import Call, LeanHandler
from packhook.api.problems import fault_response, problem_response
from packhook.api.routes import BASE, ORGANIZATION, Route
from packhook.core.errors import PackhookError
from packhook.service.service import Service
from packhook.settings import Settings

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]

_SPELLED_OTHERWISE: Final = (b"?", b"%", b"#")
PATHS_KEPT: Final = 4_096
LONGEST_PATH_KEPT: Final = 256

LeanRoute = Route[LeanHandler[Any]]


class Door:
    """Knows the lean routes (POST, of an organization). As an ASGI application it answers them; ``app`` all others."""

    def __init__(self, app: ASGIApp, routes: tuple[LeanRoute, ...], service: Service, settings: Settings) -> None:
        self._app = app
        self._routes = {route.path.removeprefix(ORGANIZATION + "/"): route for route in routes}
        self.service = service
        self.settings = settings
        self.held = HeldBodies(settings.max_buffered_body_bytes)
        self._find_short = lru_cache(PATHS_KEPT)(self._find_plain)

    def find(self, path: str) -> tuple[LeanRoute, str] | None:
        """The lean route at this path, and the organization in it; None where the path is another's."""
        if not path.startswith(_PREFIX):
            return None
        organization_id, _, rest = path[len(_PREFIX) :].partition("/")
        route = self._routes.get(rest)
        return (route, organization_id) if route is not None and organization_id else None

    def find_plain(self, url: bytes) -> tuple[LeanRoute, str] | None:
        """As :meth:`find`, of a request's target as it came; None also where it is more than a plain path."""
        return self._find_short(url) if len(url) <= LONGEST_PATH_KEPT else self._find_plain(url)

    def _find_plain(self, url: bytes) -> tuple[LeanRoute, str] | None:
        return None if any(mark in url for mark in _SPELLED_OTHERWISE) else self.find(url.decode("latin-1"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lean or not?"""
        found = self.find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
        else:
            await Headers(self._lean(*found))(scope, receive, send)

    def _lean(self, route: LeanRoute, organization_id: str) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                body = await self._handle(route, organization_id, scope, receive)
                response = Response(body, route.status, media_type="application/json")
            except PackhookError as problem:
                response = problem_response(problem)
            except Exception as error:  # noqa: BLE001 whatever it was, the client gets an answer and the log the trace
                response = fault_response(scope, error)
            await response(scope, receive, send)

        return answer

    async def _handle(self, route: LeanRoute, organization_id: str, scope: Scope, receive: Receive) -> bytes:
        """The body of a good answer. Who asks is decided before theirs is read."""
        refuse_repeated(scope["headers"])
        headers = dict(scope["headers"])
        call = Call(organization_id, headers, self.service)
        await self.service.access.authenticate_and_authorize(
            bearer(call.header(b"authorization")), route.scope, organization_id
        )
        hold = Hold(self.held, organization_id)
        try:
            came = await self._done(route, call, receive, hold)
        finally:
            hold.end()
        if isinstance(came, Exception):
            raise came
        return route.handler.answer(came)

    async def _done(self, route: LeanRoute, call: Call, receive: Receive, hold: Hold) -> Any:  # noqa: ANN401 the route's
        """What the handler was told."""
        limit = route.handler.limit(self.settings)
        body = await read_body(call.header(b"content-type"), call.header(b"content-length"), receive, limit, hold.grow)
        end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        route.handler.begin(call, body, end.set_result)
        return await end
