"""The application: routes, errors, description and the headers that every answer carries."""

from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route as LeanRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhook import __version__
from packhook.api import handlers, problems, reading
from packhook.api.guard import documented_bearer, guard, guarded
from packhook.api.openapi import describe
from packhook.api.routes import BASE, ROUTES, Route
from packhook.core.errors import PackhookError
from packhook.core.ids import request_id
from packhook.service.service import Service
from packhook.settings import Settings

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


def create_app(service: Service, settings: Settings) -> FastAPI:
    """The ASGI application over a service that is open."""
    app = FastAPI(title="packhook", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.service = service
    app.state.settings = settings
    app.add_exception_handler(PackhookError, problems.answer_error)
    app.add_exception_handler(HTTPException, problems.answer_http_exception)
    app.add_exception_handler(Exception, problems.answer_fault)
    for route in ROUTES:
        _add(app, route)
    app.add_api_route("/health", handlers.health, methods=["GET"])
    app.add_api_route("/ready", handlers.ready, methods=["GET"])
    _add_description(app)
    app.add_middleware(Headers)
    return app


def _add(app: FastAPI, route: Route) -> None:
    path = BASE + route.path
    if route.lean:
        app.router.routes.append(LeanRoute(path, guard(route.scope, route.handler), methods=[route.method]))
        return
    app.router.add_api_route(
        path,
        route.handler,
        methods=[route.method],
        status_code=route.status,
        dependencies=[documented_bearer],
        route_class_override=guarded(route.scope),
    )


def _add_description(app: FastAPI) -> None:
    document = describe()
    app.openapi = lambda: document  # type: ignore[method-assign] # FastAPI's documented way to bring one's own
    text = reading.page(document)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(document)

    async def docs(_request: Request) -> Response:
        return HTMLResponse(text, headers={"content-security-policy": reading.POLICY})

    app.router.routes.append(LeanRoute("/openapi.json", openapi, methods=["GET"]))
    app.router.routes.append(LeanRoute("/docs", docs, methods=["GET"]))


class Headers:
    """Gives each request an id, and each answer that id and the headers that make it safe to show."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = request_id()
        scope["packhook.request_id"] = own

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", own.encode()), *_ALWAYS]
            await send(message)

        await self._app(scope, receive, send_with_headers)
