"""Two nodes behind nginx, with the settings of the how-to page, restart one after the other: no request is lost."""

import asyncio
import os
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest

from docs.pages import blocks, find_section, read
from postgres.server import direct
from support.api_node import eventually
from support.processes import OPERATOR_KEY, Node, running

NGINX: Final = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
MASTER_KEY: Final = "test:" + "QUFB" * 10 + "QUE="
PUBLISHERS: Final = 4
AHEAD: Final = 40
"""So many publishes succeed between two steps, at least: the restart has load before, meanwhile and after."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def nginx_settings(folder: Path, port: int, nodes: tuple[Node, Node]) -> str:
    """Return the page's server, on loopback and without TLS, in a configuration that needs no rights."""
    page = find_section(read("how-to/run-in-production.md"), "Restart behind a load balancer").text
    (block,) = blocks(page, "nginx")
    for example, node in zip(("10.0.3.7:8080", "10.0.3.8:8080"), nodes, strict=True):
        block = block.replace(example, f"127.0.0.1:{node.port}")
    block = re.sub(r"\n +ssl_certificate.*|", "", block.replace("listen 443 ssl", f"listen 127.0.0.1:{port}"))
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("fastcgi", "proxy", "scgi", "uwsgi"))
    return (
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log info;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body;\n{places}{block} }}\n"
    )


@asynccontextmanager
async def nginx(folder: Path, nodes: tuple[Node, Node]) -> AsyncIterator[str]:
    """Run nginx in front of the nodes; yield its URL."""
    if NGINX is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is not installed: apt-get install nginx-light")
        pytest.skip("SKIPPED: nginx is not installed (apt-get install nginx-light), so no rolling restart is tried")
    port = free_port()
    (folder / "nginx.conf").write_text(nginx_settings(folder, port, nodes), "utf-8")
    process = await asyncio.create_subprocess_exec(NGINX, "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf")
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            await eventually(lambda: _status(client, "/v1/organizations"), lambda status: status == 401)
        yield url
    finally:
        process.send_signal(signal.SIGQUIT)
        await asyncio.wait_for(process.wait(), 15)


async def _status(client: httpx.AsyncClient, path: str) -> int:
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return 0


class Load:
    """Publish without a pause until ``stopped``, and keep the status of each response."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.stopped = False

    async def run(self, url: str) -> None:
        """Publish through one connection; an error of the connection counts as status 0."""
        headers = {"authorization": f"Bearer {OPERATOR_KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            while not self.stopped:
                event = {"event_code": "order.created", "data": {"id": "ord_1"}}
                try:
                    answer = await client.post("/v1/organizations/acme/events", json=event)
                    self.statuses.append(answer.status_code)
                except httpx.TransportError:
                    self.statuses.append(0)

    async def more(self) -> None:
        """Wait for some more responses."""
        seen = len(self.statuses)
        await eventually(self._count, lambda count: count >= seen + AHEAD, 60)

    async def _count(self) -> int:
        return len(self.statuses)


async def test_no_request_is_lost_when_nodes_restart_in_turn(tmp_path: Path, url: str) -> None:
    """Every publish is answered 202, and as many events are stored; meanwhile each node was not ready, then gone."""
    settings = {"database": url, "master_keys": MASTER_KEY, "drain_delay": "0.5s", "log_level": "error"}
    load = Load()
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(running(tmp_path, **settings)) for _ in range(2)]
        front = await stack.enter_async_context(nginx(tmp_path, (first, second)))
        async with first.client() as api:
            await api.post("/v1/organizations", json={"id": "acme"})
        async with asyncio.TaskGroup() as group:
            for _ in range(PUBLISHERS):
                group.create_task(load.run(front))
            for node in (first, second):
                await load.more()
                await restart(node)
            await load.more()
            load.stopped = True
    assert set(load.statuses) == {202}
    async with direct(url) as connection:
        assert await _events(connection) == len(load.statuses)


async def restart(node: Node) -> None:
    """Stop a node: first it is not ready, then its port is closed; start it again."""
    stopped = node.latest
    stopped.send(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=node.url, timeout=30) as client:
        assert await eventually(lambda: _status(client, "/ready"), lambda status: status in (503, 0)) == 503
    assert await stopped.wait() == 0
    await node.start()


async def _events(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    return int(await connection.fetchval("SELECT count(*) FROM packhook.events"))
