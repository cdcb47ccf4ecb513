"""The HTTP server: uvicorn with the protocol of ``publish/protocol.py`` and the ASGI application of ``app.py``."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from packhook.api.app import create_app
from packhook.api.metrics import create_metrics_app
from packhook.api.mounts import Mounts
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.core.clock import SECOND
from packhook.delivery.fair_queue import Turns
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.telemetry.metrics import connections

SETTLE_SECONDS: Final = 1.0
"""So long connections may end by themselves once the port is closed."""
SETTLE_CHECKS: Final = 50
REPEAT_SECONDS: Final = 1.0
"""A second SIGTERM within this time is the first one, sent twice."""


class _Server(uvicorn.Server):
    """Stop so that no request is lost.

    ::

        SIGTERM ─▶ /ready is 503 ─ drain_delay ─▶ the port closes ─▶ requests under way end ─▶ connections close
                   each response ends its connection                  (so do requests that wait for events)
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain_delay: int) -> None:
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_delay / SECOND
        self._drain_until: float | None = None
        self._repeated_until = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first SIGTERM. Any other signal, or the second, stops without waiting.

        A supervisor that signals a whole group of processes, as systemd does, and a parent that passes its signal on
        send two at the same time: they count as one.
        """
        now = time.monotonic()
        if sig == signal.SIGTERM and self._drain_seconds and not self._service.is_draining and not self.should_exit:
            self._service.is_draining = True
            self._drain_until = now + self._drain_seconds
            self._repeated_until = now + REPEAT_SECONDS
        elif sig != signal.SIGTERM or now >= self._repeated_until:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop when it has drained."""
        if self._drain_until is not None and time.monotonic() >= self._drain_until:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, stop the waits, then let requests end."""
        if self._service.is_draining:
            await self._close_port(sockets or [])
        self._service.feed.stop()
        self._service.tail.stop()
        await super().shutdown(sockets)

    async def _close_port(self, listeners: list[socket.socket]) -> None:
        """Close the port, but serve connections that the system has accepted, and requests that are on their way."""
        accepted = [connection for listener in listeners for connection in _accepted_by(listener)]
        for server in self.servers:
            server.close()
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        protocol = partial(make, config=self.config, server_state=self.server_state, app_state={})
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        for _ in range(SETTLE_CHECKS):
            if not self.server_state.connections:
                return
            await asyncio.sleep(SETTLE_SECONDS / SETTLE_CHECKS)


def _accepted_by(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait to be accepted: closing the port would reset them."""
    with suppress(OSError):  # none is left
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


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
    server = _Server(server_config(service, settings, mounts), service, settings.drain_delay)
    service.metrics.add_source(lambda: connections("client", len(server.server_state.connections)))
    return server


def make_metrics_server(service: Service, settings: Settings) -> uvicorn.Server:
    """Return a server of ``/metrics`` alone, without a key. It ends when its ``should_exit`` is set."""
    nothing_published = PublishApp((), service, settings, Turns())
    return _MetricsServer(_config(create_metrics_app(service, settings), nothing_published))
