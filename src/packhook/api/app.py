"""The ASGI application: every route but the publish routes, on FastAPI, with its errors and its description."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route as PlainRoute
from starlette.types import ASGIApp

from packhook import __version__
from packhook.api import handlers, problems, reading
from packhook.api.guard import documented_bearer, guarded
from packhook.api.headers import Headers, RejectEncodedSeparators
from packhook.api.openapi import describe
from packhook.api.routes import BASE, BY_FASTAPI, Handler, Route
from packhook.core.errors import PackhookError
from packhook.service.service import Service
from packhook.settings import Settings


def create_app(service: Service, settings: Settings) -> ASGIApp:
    """Return the ASGI application of an open service."""
    app = FastAPI(
        title="packhook", version=__version__, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.service = service
    app.state.settings = settings
    app.add_exception_handler(PackhookError, problems.answer_error)
    app.add_exception_handler(HTTPException, problems.answer_http_exception)
    for route in BY_FASTAPI:
        _add(app, route)
    app.add_api_route("/health", handlers.health, methods=["GET"])
    app.add_api_route("/ready", handlers.ready, methods=["GET"])
    _add_description(app)
    app.add_middleware(problems.Faults)
    return Headers(RejectEncodedSeparators(app))


def _add(app: FastAPI, route: Route[Handler]) -> None:
    app.router.add_api_route(
        BASE + route.path,
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

    app.router.routes.append(PlainRoute("/openapi.json", openapi, methods=["GET"]))
    app.router.routes.append(PlainRoute("/docs", docs, methods=["GET"]))
