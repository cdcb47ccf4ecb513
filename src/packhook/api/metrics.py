"""``GET /metrics``: for the operator on the API's port, and for everyone on a port of its own."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from packhook.api.headers import AccessLog, Headers
from packhook.api.problems import UnhandledExceptions
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.telemetry.metrics import CONTENT_TYPE


async def metrics(request: Request) -> Response:
    """Respond with the metrics of this node, as text for Prometheus."""
    service: Service = request.app.state.service
    return Response(await service.metrics.text(), headers={"content-type": CONTENT_TYPE})


def create_metrics_app(service: Service, settings: Settings) -> ASGIApp:
    """Return the ASGI application that serves ``/metrics`` and nothing else."""
    app = Starlette(routes=[Route("/metrics", metrics, methods=["GET"])])
    app.state.service = service
    return Headers(UnhandledExceptions(app), lambda: service.is_draining, AccessLog(settings))
