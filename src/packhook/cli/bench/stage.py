"""The processes of one scenario: nodes on a fresh database, a sink; started, told what to do, ended."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import msgspec

from packhook.cli.bench.node import MARK, Spent
from packhook.cli.bench.plan import EVENT_CODE, OPERATOR_KEY, SECRET, Plan, organization_id
from packhook.cli.bench.sink import Noted
from packhook.core.errors import StartError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
_READY: Final = "packhook listens on http://"
_SETTINGS: Final = {
    "PACKHOOK_OPERATOR_KEY": OPERATOR_KEY,
    "PACKHOOK_EGRESS_ALLOW": "127.0.0.0/8",
    "PACKHOOK_ALLOW_HTTP": "true",
    "PACKHOOK_LOG_LEVEL": "error",
    "PACKHOOK_PORT": "0",
    "PACKHOOK_MASTER_KEYS": "bench:" + base64.b64encode(os.urandom(32)).decode(),
}


class Node:
    """A node as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int) -> None:
        self.process = process
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    async def stop(self) -> Spent:
        """End it; where its CPU went."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            told, _ = await self.process.communicate()
        lines = [line.removeprefix(MARK) for line in told.decode().splitlines() if line.startswith(MARK)]
        return msgspec.json.decode(lines[-1], type=Spent) if lines else Spent({})


class Sink:
    """The receiver as a process of its own; ``arrived`` counts deliveries as it tells."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.arrived = 0
        self.listeners: list[Callable[[int], None]] = []
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._task = asyncio.create_task(self._hear())

    @property
    def url(self) -> str:
        """Where it receives."""
        return f"http://127.0.0.1:{self.port}"

    async def wait_for(self, count: int, patience: float) -> None:
        """Until so many have arrived, or none for ``patience`` seconds."""
        with suppress(TimeoutError):
            while self.arrived < count:
                self._changed.clear()
                async with asyncio.timeout(patience):
                    await self._changed.wait()

    async def noted(self, file: Path) -> Noted:
        """What it noted so far."""
        assert self.process.stdin is not None  # noqa: S101 it was started with a pipe
        self._written.clear()
        self.process.stdin.write(f"{file}\n".encode())
        await self._written.wait()
        return msgspec.msgpack.decode(file.read_bytes(), type=Noted)  # noqa: ASYNC240 nothing else goes on

    async def stop(self) -> None:
        """End it."""
        self.process.kill()
        await self.process.wait()
        await self._task

    async def _hear(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 it was started with a pipe
        async for line in self.process.stdout:
            if line == b"written\n":
                self._written.set()
                continue
            self.arrived = int(line)
            self._changed.set()
            for listener in self.listeners:
                listener(self.arrived)


async def start_module(module: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """``python -m packhook.cli.bench.MODULE`` with pipes, and none of our own settings inherited."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"packhook.cli.bench.{module}", *arguments, env=own | environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """A sink, for as long as this lasts."""
    process = await start_module("sink")
    started = Sink(process, int(await _line(process)))
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def nodes(database: str, count: int) -> AsyncIterator[list[Node]]:
    """So many nodes on one database; whatever happens, they end."""
    started: list[Node] = []
    try:
        while len(started) < count:
            started += [await _node(database)]
        yield started
    finally:
        for node in started:
            if node.process.returncode is None:
                node.process.kill()
                await node.process.communicate()


async def _node(database: str) -> Node:
    process = await start_module("node", PACKHOOK_DATABASE=database, **_SETTINGS)
    while line := await _line(process):
        if line.startswith(_READY):
            host, _, port = line.removeprefix(_READY).partition(":")
            return Node(process, host, int(port))
    raise StartError("the node did not start; what it said is above")


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101 it was started with a pipe
    async with asyncio.timeout(START_SECONDS):
        return (await process.stdout.readline()).decode().strip()


async def subscribe(node: Node, sink_url: str, plan: Plan) -> None:
    """The plan's organizations and webhooks, through the API."""
    limits = httpx.Limits(max_connections=16)
    headers = {"authorization": f"Bearer {OPERATOR_KEY}"}
    async with httpx.AsyncClient(
        base_url=f"{node.url}/v1", headers=headers, trust_env=False, timeout=60, limits=limits
    ) as client:
        for number in range(plan.organizations):
            await _post(client, "/organizations", {"id": organization_id(number)})
            await asyncio.gather(*(_subscribe(client, number, each, sink_url) for each in range(plan.fan_out)))


async def _subscribe(client: httpx.AsyncClient, number: int, each: int, sink_url: str) -> None:
    webhook = {"event_code": EVENT_CODE, "endpoint": f"{sink_url}/{number}/{each}", "secret": SECRET}
    await _post(client, f"/organizations/{organization_id(number)}/webhooks", webhook)


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, str]) -> None:
    (await client.post(path, json=body)).raise_for_status()
