"""The app behind uvicorn, with the protocol of ours that keeps its connections in bounds."""

from functools import partial

import uvicorn

from packhook.api.app import create_app
from packhook.api.protocol import BoundedHttp
from packhook.service.service import Service
from packhook.settings import Settings


def make_server(service: Service, settings: Settings) -> uvicorn.Server:
    """It runs on the running event loop, logs nothing, and is stopped by uvicorn's own signals."""
    door = create_app(service, settings)
    return uvicorn.Server(
        uvicorn.Config(
            door,
            loop="none",
            http=partial(BoundedHttp, door=door),  # type: ignore[arg-type] # it is called, not subclassed
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the audit trail alone asks for them, and believes no more than is set
            timeout_graceful_shutdown=10,
        )
    )
