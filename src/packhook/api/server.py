"""The HTTP server: uvicorn with the protocol of ``publish/protocol.py`` and the ASGI application of ``app.py``."""

from functools import partial

import uvicorn

from packhook.api.app import create_app
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.api.turns import Turns
from packhook.service.service import Service
from packhook.settings import Settings


def server_config(service: Service, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration for an open service: it uses the running event loop and logs nothing."""
    turns = Turns()
    publish = PublishApp(PUBLISH_ROUTES, service, settings, turns)
    return uvicorn.Config(
        create_app(service, settings, turns),
        loop="none",
        http=partial(HttpProtocol, publish),  # type: ignore[arg-type] # it is called, not subclassed
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # only the audit trail reads them, and trusts only configured proxies
        timeout_graceful_shutdown=10,
    )


def make_server(service: Service, settings: Settings) -> uvicorn.Server:
    """Return a server that runs on the running event loop and is stopped by uvicorn's own signals."""
    return uvicorn.Server(server_config(service, settings))
