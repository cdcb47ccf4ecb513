"""The processes of one scenario: nodes on a fresh database, a sink; started, told what to do, ended."""

import asyncio
import base64
import http.client
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import msgspec

from packhook.cli.bench.authority import Authority
from packhook.cli.bench.counter import Counter
from packhook.cli.bench.fill import DEAD_WEBHOOKS, WebhookState
from packhook.cli.bench.node import MARK, Spent
from packhook.cli.bench.plan import EVENT_CODE, OPERATOR_KEY, SECRET, Plan, organization_id
from packhook.cli.bench.publish import Order, Published
from packhook.cli.bench.sink import Noted, Post
from packhook.core.errors import StartError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
SUBSCRIBERS: Final = 8
DEAD_NUMBER: Final = 1_000_000  # beyond those of any plan
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

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int, *, is_sampled: bool) -> None:
        self.process = process
        self.host = host
        self.port = port
        self._is_sampled = is_sampled

    def begin(self) -> None:
        """What is measured begins: a profile forgets what was before."""
        if self._is_sampled:
            self.process.send_signal(signal.SIGUSR1)

    async def stop(self) -> Spent:
        """End it; where its CPU went, if it was a profile's."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            told, _ = await self.process.communicate()
        lines = [line.removeprefix(MARK) for line in told.decode().splitlines() if line.startswith(MARK)]
        return msgspec.json.decode(lines[-1], type=Spent) if lines else Spent()


class Sink:
    """The receiver as a process of its own. ``counter`` says how many deliveries have arrived."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, counter: Path, *, tls: bool) -> None:
        self.process = process
        self.counter = counter
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._arrived = Counter(counter)

    @property
    def arrived(self) -> int:
        """How many so far."""
        return self._arrived.value

    async def wait_for(self, count: int, patience: float) -> None:
        """Until so many have arrived, or none for ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        last, until = self.arrived, loop.time() + patience
        while last < count and loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            if self.arrived != last:
                last, until = self.arrived, loop.time() + patience

    async def noted(self, file: Path) -> Noted:
        """What it noted since the last time."""
        assert self.process.stdin is not None  # noqa: S101 it was started with a pipe
        self.process.stdin.write(f"{file}\n".encode())
        while await _line(self.process, STOP_SECONDS) != "written":
            if self.process.returncode is not None:
                raise StartError("the receiver has ended; what it said is above")
        return msgspec.msgpack.decode(file.read_bytes(), type=Noted)  # noqa: ASYNC240 nothing else goes on


class Publishers:
    """The publishers as a process of their own, whose connections stand."""

    def __init__(self, process: asyncio.subprocess.Process, file: Path) -> None:
        self._process = process
        self._file = file

    async def publish(self) -> Published:
        """All of it: what they noted, once everything is answered."""
        await _end_of(self._process, "the publishers gave up", b"go\n")
        return msgspec.msgpack.decode(self._file.read_bytes(), type=Published)


async def start_module(module: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """``python -m MODULE`` with pipes, and none of our own settings: no variable, no file of the working directory."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=own | environment, cwd=tempfile.gettempdir(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


async def run_module(module: str, argument: str, failure: str) -> bytes:
    """Run it to its end and take what it printed; StartError with ``failure`` where it did not succeed."""
    process = await start_module(module, argument)
    try:
        return await _end_of(process, failure)
    finally:
        await _kill(process)


async def _end_of(process: asyncio.subprocess.Process, failure: str, said: bytes | None = None) -> bytes:
    """Tell it the last it is told, and take what it prints until it ends."""
    told, _ = await process.communicate(said)
    if process.returncode:
        raise StartError(f"{failure}; what it said is above")
    return told


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Unless it has ended."""
    if process.returncode is None:
        process.kill()
    await process.wait()


@asynccontextmanager
async def publishers(plan: Plan, started: list[Node], receiver: Sink, folder: Path) -> AsyncIterator[Publishers]:
    """The plan's publishers; they wait to be told."""
    file = folder / "published"
    places = [(node.host, node.port) for node in started]
    order = Order(plan=plan, nodes=places, counter=str(receiver.counter), file=str(file))
    process = await start_module("packhook.cli.bench.publish", msgspec.json.encode(order).decode())
    try:
        await _line(process)  # they are connected; or have ended, which is told when they are asked to publish
        yield Publishers(process, file)
    finally:
        await _kill(process)


@asynccontextmanager
async def sink(plan: Plan, folder: Path, authority: Authority | None, sabotage: str = "") -> AsyncIterator[Sink]:
    """A sink, for as long as this lasts."""
    counter = folder / "arrived"
    certificate = "" if authority is None else str(authority.certificate)
    post = Post(plan=plan, counter=str(counter), certificate=certificate, sabotage=sabotage)
    process = await start_module("packhook.cli.bench.sink", msgspec.json.encode(post).decode())
    try:
        yield Sink(process, int(await _line(process)), counter, tls=authority is not None)
    finally:
        await _kill(process)


@asynccontextmanager
async def nodes(
    database: str, count: int, authority: Authority | None, *, sampled: bool = False
) -> AsyncIterator[list[Node]]:
    """So many nodes on one database; whatever happens, they end."""
    settings = _SETTINGS | {"PACKHOOK_DATABASE": database}
    if authority is not None:
        settings["PACKHOOK_CA_BUNDLE"] = str(authority.bundle)
    started: list[Node] = []
    try:
        while len(started) < count:
            started += [await _node(settings, sampled=sampled)]
        yield started
    finally:
        for node in started:
            if node.process.returncode is None:
                node.process.kill()
                await node.process.communicate()


async def _node(settings: dict[str, str], *, sampled: bool) -> Node:
    program = ("packhook.cli.bench.node",) if sampled else ("packhook", "serve")
    process = await start_module(*program, **settings)
    while line := await _line(process):
        if line.startswith(_READY):
            host, _, port = line.removeprefix(_READY).partition(":")
            return Node(process, host, int(port), is_sampled=sampled)
    raise StartError("the node did not start; what it said is above")


async def _line(process: asyncio.subprocess.Process, seconds: float = START_SECONDS) -> str:
    assert process.stdout is not None  # noqa: S101 it was started with a pipe
    async with asyncio.timeout(seconds):
        return (await process.stdout.readline()).decode().strip()


async def subscribe(node: Node, sink_url: str, plan: Plan) -> list[WebhookState]:
    """The plan's organizations and webhooks, through the API."""
    numbers = iter(range(plan.organizations))
    made: list[WebhookState] = []
    lock = threading.Lock()

    def take() -> Iterator[int]:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            yield number

    async def work() -> None:
        made.extend(await asyncio.to_thread(_subscribe, node, sink_url, plan.fan_out, take()))

    await asyncio.gather(*(work() for _ in range(SUBSCRIBERS)))
    return made


async def subscribe_dead(node: Node) -> list[WebhookState]:
    """Webhooks of an organization of their own, whose endpoint nobody answers at."""
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        url = f"http://127.0.0.1:{closed_soon.getsockname()[1]}"
    return await asyncio.to_thread(_subscribe, node, url, DEAD_WEBHOOKS, [DEAD_NUMBER])


def _subscribe(node: Node, sink_url: str, fan_out: int, numbers: Iterable[int]) -> list[WebhookState]:
    made = []
    with closing(http.client.HTTPConnection(node.host, node.port, timeout=60)) as connection:
        for number in numbers:
            name = organization_id(number)
            _post(connection, "/organizations", {"id": name})
            for each in range(fan_out):
                webhook = {"event_code": EVENT_CODE, "endpoint": f"{sink_url}/{number}/{each}", "secret": SECRET}
                made.append((name, _post(connection, f"/organizations/{name}/webhooks", webhook)))
    return made


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, str]) -> str:
    """The id of what was made."""
    headers = {"authorization": f"Bearer {OPERATOR_KEY}", "content-type": "application/json"}
    connection.request("POST", f"/v1{path}", msgspec.json.encode(body), headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != http.client.CREATED:
        raise StartError(f"POST {path} was answered {answer.status}: {said.decode(errors='replace')}")
    return str(msgspec.json.decode(said)["id"])
