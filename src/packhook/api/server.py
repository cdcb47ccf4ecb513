"""The HTTP server: uvicorn with the protocol of ``publish/protocol.py`` and the ASGI application of ``app.py``."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from packhook.api.app import create_app
from packhook.api.metrics import create_metrics_app
from packhook.api.mounts import Mounts
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.api.turns import Turns
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.telemetry.metrics import connections


class _Server(uvicorn.Server):
    """Answer requests that wait for events before the server waits for its requests to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the waits, then shut down."""
        self._service.feed.stop()
        await super().shutdown(sockets)


class _MetricsServer(uvicorn.Server):
    """Leave the signals to the server of the API."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server_config(service: Service, settings: Settings, mounts: Mounts) -> uvicorn.Config:
    """Return uvicorn's configuration for an open service: it uses the running event loop and logs nothing."""
    turns = Turns()
    publish = PublishApp(PUBLISH_ROUTES, service, settings, turns)
    return _config(create_app(service, settings, turns, mounts), publish)


def _config(app: ASGIApp, publish: PublishApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=partial(HttpProtocol, publish),  # type: ignore[arg-type] # it is called, not subclassed
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # only the audit trail reads them, and trusts only configured proxies
        timeout_graceful_shutdown=10,
    )


def make_server(service: Service, settings: Settings, mounts: Mounts) -> uvicorn.Server:
    """Return a server that runs on the running event loop and is stopped by uvicorn's own signals."""
    server = _Server(server_config(service, settings, mounts), service)
    service.metrics.add_source(lambda: connections("client", len(server.server_state.connections)))
    return server


def make_metrics_server(service: Service, settings: Settings) -> uvicorn.Server:
    """Return a server of ``/metrics`` alone, without a key. It ends when its ``should_exit`` is set."""
    nothing_published = PublishApp((), service, settings, Turns())
    return _MetricsServer(_config(create_metrics_app(service), nothing_published))
