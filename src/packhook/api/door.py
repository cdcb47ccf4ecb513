"""The door: publishing goes round FastAPI's machinery, with the same access, errors and headers as everything else.

::

    uvicorn ─▶ Door ─┬─ POST …/events, POST …/events/batch ─▶ access ─▶ api/publish.py ─▶ 202
                     └─ everything else ─▶ FastAPI (app.py)
"""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.guard import bearer, refuse_repeated
from packhook.api.headers import ALWAYS, NO_PAGE, Headers
from packhook.api.lean import Call, LeanHandler
from packhook.api.problems import fault_response, problem_response
from packhook.api.routes import BASE, ORGANIZATION, Route
from packhook.core.errors import PackhookError
from packhook.core.ids import request_id
from packhook.service.service import Service
from packhook.settings import Settings

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]
_JSON: Final = (b"content-type", b"application/json")


class Door:
    """An ASGI application: lean routes (POST, of an organization) here, ``app`` for all others."""

    def __init__(
        self, app: ASGIApp, routes: tuple[Route[LeanHandler], ...], service: Service, settings: Settings
    ) -> None:
        self._app = app
        self._routes = {route.path.removeprefix(ORGANIZATION + "/"): route for route in routes}
        self._service = service
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lean or not?"""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_PREFIX):
            organization_id, _, rest = scope["path"][len(_PREFIX) :].partition("/")
            route = self._routes.get(rest)
            if route is not None and organization_id:
                await self._answer(route, organization_id, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(
        self, route: Route[LeanHandler], organization_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        own = scope["packhook.request_id"] = request_id()
        headers = dict(scope["headers"])
        try:
            if len(headers) < len(scope["headers"]):
                refuse_repeated(scope["headers"])
            body = await self._handle(route, organization_id, headers, receive)
        except PackhookError as error:
            await Headers(problem_response(error))(scope, receive, send)
        except Exception as error:  # noqa: BLE001 whatever it was, the client gets an answer and the log the trace
            await Headers(fault_response(scope, error))(scope, receive, send)
        else:
            length = b"%d" % len(body)
            told = [_JSON, (b"content-length", length), (b"x-request-id", own.encode()), *ALWAYS, NO_PAGE]
            await send({"type": "http.response.start", "status": route.status, "headers": told})
            await send({"type": "http.response.body", "body": body})

    async def _handle(
        self, route: Route[LeanHandler], organization_id: str, headers: dict[bytes, bytes], receive: Receive
    ) -> bytes:
        """The body of a good answer. Who asks is decided before theirs is read."""
        key = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        await self._service.access.admit(key, route.scope, organization_id)
        return await route.handler(
            Call(
                organization_id=organization_id,
                headers=headers,
                receive=receive,
                service=self._service,
                settings=self._settings,
            )
        )
