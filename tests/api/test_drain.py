"""A stop drains first: not ready, the port open, each response the last of its connection; then nothing is lost."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
import uvicorn

from packhook.api.server import make_server
from packhook.settings import Settings
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, application, bearer

EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}


@asynccontextmanager
async def node(folder: Path, **settings: str) -> AsyncIterator[tuple[uvicorn.Server, str, socket.socket]]:
    """Run the API's server as a node does, with an organization ``acme``; yield it, its URL, and its socket."""
    async with application(folder, ManualClock()) as (api, service, _):
        await api.post("/v1/organizations", json={"id": "acme"})
        known = Settings(operator_key=OPERATOR_KEY, **cast("dict[str, Any]", settings))
        server = make_server(service, known, {})
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        task = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield server, url, listener
        finally:
            server.should_exit = True
            await task


def client(url: str) -> httpx.AsyncClient:
    """Return the operator's client."""
    return httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=15)


async def test_a_node_that_drains_is_not_ready_and_still_serves(tmp_path: Path) -> None:
    """Respond 503 to ``/ready`` and 202 to a publish; each response says that the connection ends."""
    async with node(tmp_path, drain_delay="10m") as (server, url, _), client(url) as api:
        before = await api.get("/ready"), await api.post("/v1/organizations/acme/events", json=EVENT)
        server.handle_exit(signal.SIGTERM, None)
        after = await api.get("/ready"), await api.post("/v1/organizations/acme/events", json=EVENT)
        server.handle_exit(signal.SIGTERM, None)  # the same one: a group of processes was signaled, and its parent
        assert not server.should_exit
        server._repeated_until = 0.0  # type: ignore[attr-defined] # a while later
        server.handle_exit(signal.SIGTERM, None)  # the second one does not wait
        assert server.should_exit
        server._captured_signals.clear()  # uvicorn raises them again at its end
    assert [answer.status_code for answer in (*before, *after)] == [200, 202, 503, 202]
    assert [answer.headers.get("connection") for answer in (*before, *after)] == [None, None, "close", "close"]


async def test_without_a_delay_a_stop_begins_at_once(tmp_path: Path) -> None:
    """Drain nothing."""
    async with node(tmp_path) as (server, _, _):
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit
        server._captured_signals.clear()


async def test_connections_that_wait_to_be_accepted_are_served(tmp_path: Path) -> None:
    """Serve a request whose connection the system has accepted, and the node has not, when the port closes."""
    async with node(tmp_path, drain_delay="10m") as (server, url, listener):
        async with client(url) as api:
            await api.get("/health")
        address = listener.getsockname()
        server.handle_exit(signal.SIGTERM, None)
        late = socket.create_connection(address)
        late.sendall(b"GET /health HTTP/1.1\r\nHost: packhook.test\r\n\r\n")
        await server._close_port([listener])  # type: ignore[attr-defined] # accepts before anything else runs
        late.setblocking(False)
        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(late, 4_096), 15)
        late.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    assert answer.startswith(b"HTTP/1.1 200 OK")
