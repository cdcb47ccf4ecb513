"""The HTTP server: uvicorn with the protocol of ``publish/protocol.py`` and the ASGI application of ``app.py``."""

import socket
from functools import partial

import uvicorn

from packhook.api.app import create_app
from packhook.api.mounts import Mounts
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.api.turns import Turns
from packhook.service.service import Service
from packhook.settings import Settings


class _Server(uvicorn.Server):
    """Answer requests that wait for events before the server waits for its requests to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the waits, then shut down."""
        self._service.feed.stop()
        await super().shutdown(sockets)


def server_config(service: Service, settings: Settings, mounts: Mounts) -> uvicorn.Config:
    """Return uvicorn's configuration for an open service: it uses the running event loop and logs nothing."""
    turns = Turns()
    publish = PublishApp(PUBLISH_ROUTES, service, settings, turns)
    return uvicorn.Config(
        create_app(service, settings, turns, mounts),
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
    return _Server(server_config(service, settings, mounts), service)
