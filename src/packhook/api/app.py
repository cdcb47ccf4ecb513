"""The ASGI application: FastAPI with its routes, errors and pages; the publish routes stand in front of it."""

from contextlib import suppress
from functools import partial
from typing import Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from packhook import __version__
from packhook.api import docs_page, handlers, metrics, problems
from packhook.api.auth import documented_bearer, route_class
from packhook.api.described import Described
from packhook.api.forwarded import source_in
from packhook.api.headers import AccessLog, Headers, note_allowance
from packhook.api.mounts import Mounted, Mounts
from packhook.api.openapi import describe
from packhook.api.requests import NO_ROUTE, RejectEncodedSeparators, bearer
from packhook.api.route import BASE, Route
from packhook.api.routes import FASTAPI_ROUTES, OPERATOR, Handler, methods_of
from packhook.api.turns import RequestsInTurn
from packhook.core.errors import PackhookError, Unauthorized
from packhook.delivery.fair_queue import Turns
from packhook.service.service import Service
from packhook.settings import Settings

_GET: Final = ["GET", "HEAD"]
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Or FastAPI traces each request, with its URL, as soon as anything sets a provider. packhook has spans of its own."""


def create_app(service: Service, settings: Settings, turns: Turns, mounts: Mounts) -> ASGIApp:
    """Return the ASGI application of an open service; ``mounts`` are applications beside the API, by their path."""
    app = FastAPI(
        title="packhook",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.state.service = service
    app.state.settings = settings
    app.add_exception_handler(PackhookError, _handle_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    for route in FASTAPI_ROUTES:
        _add(app, route)
    app.add_api_route("/health", handlers.health, methods=_GET)
    app.add_api_route("/ready", handlers.ready, methods=_GET)
    app.router.add_api_route("/metrics", metrics.metrics, methods=_GET, route_class_override=route_class(OPERATOR))
    _add_pages(app, service, settings.public_url.rstrip("/"))
    app.add_middleware(problems.UnhandledExceptions)
    everything = Mounted(app, mounts)
    return Headers(
        RequestsInTurn(RejectEncodedSeparators(everything), turns, service.access, settings),
        lambda: service.is_draining,
        AccessLog(settings),
    )


async def _handle_error(_request: Request, error: Exception) -> Response:
    """Respond to packhook's errors."""
    assert isinstance(error, PackhookError)  # noqa: S101 registered for nothing else
    return problems.problem_response(error)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    """Respond to Starlette's own errors, such as an unknown path.

    The request counts against the rate limits of its key, as any other that is refused.
    """
    assert isinstance(error, HTTPException)  # noqa: S101 registered for nothing else
    try:
        await _count(request)
    except PackhookError as refused:
        return problems.problem_response(refused)
    kind = problems.BY_STATUS.get(error.status_code, PackhookError)
    path = request.scope["path"].removeprefix(NO_ROUTE)
    detail = f"no route {path}" if error.status_code == 404 else str(error.detail)
    response = problems.problem_response(kind(detail))
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(methods_of(request.url.path)) or "GET, HEAD"
    return response


async def _count(request: Request) -> None:
    """Count a request that no route handled, if it has a valid key. Raises RateLimited, Overloaded or Unavailable."""
    state = request.app.state
    keys = request.headers.getlist("authorization")
    source = partial(source_in, request.scope, state.settings.trusted_proxies)
    with suppress(Unauthorized):
        if len(keys) == 1:
            note_allowance(request.scope, await state.service.access.count(bearer(keys[0]), source))


def _add(app: FastAPI, route: Route[Handler]) -> None:
    app.router.add_api_route(
        BASE + route.path,
        route.handler,
        methods=_GET if route.method == "GET" else [route.method],
        status_code=route.status,
        dependencies=[documented_bearer],
        route_class_override=route_class(
            route.scope,
            takes_idempotency_key=route.takes_idempotency_key,
            takes_query=route.query is not None,
            takes_body=route.body is not None,
        ),
    )


def _add_pages(app: FastAPI, service: Service, server: str) -> None:
    """Add the OpenAPI document, the documentation page, and a page for each problem type."""
    described = Described(service, server)
    app.openapi = lambda: describe(service.event_types.catalogue, server)  # type: ignore[method-assign] # FastAPI's documented extension point
    error_html = {kind.code: docs_page.error_page(kind, status) for kind, status in problems.STATUS.items()}

    async def openapi(_request: Request) -> Response:
        return Response((await described.current()).document, media_type="application/json")

    async def docs(_request: Request) -> Response:
        page = (await described.current()).page
        return HTMLResponse(page, headers={"content-security-policy": docs_page.POLICY})

    async def error(request: Request) -> Response:
        code = request.path_params["code"]
        if code not in error_html:
            raise HTTPException(404)
        return HTMLResponse(error_html[code], headers={"content-security-policy": docs_page.POLICY})

    for path, page in (("/openapi.json", openapi), ("/docs", docs), (problems.TYPE_BASE + "{code}", error)):
        app.router.routes.append(StarletteRoute(path, page, methods=["GET"]))  # Starlette adds HEAD itself
