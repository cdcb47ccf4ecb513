"""Start and stop the processes of one scenario: nodes on a database, the receiver, the publishers."""

import asyncio
import base64
import http.client
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.certificates import TlsFiles
from benchmarks.plan import EVENT_CODE, OPERATOR_KEY, SECRET, Plan, organization_id
from benchmarks.preload import DEAD_WEBHOOKS, WebhookKey
from benchmarks.profiled_node import PREFIX, LayerCpu
from benchmarks.publishers import PublishersConfig, PublishLog
from benchmarks.receiver import ReceiptLog, ReceiverConfig
from benchmarks.shared_counter import SharedCounter
from packhook.core.errors import StartError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
SERVE: Final = ("packhook", "serve")
SUBSCRIBE_THREADS: Final = 8
DEAD_ORGANIZATION: Final = 1_000_000  # numbers beyond those of any plan
LARGE_ORGANIZATION: Final = DEAD_ORGANIZATION + 1
_CHECKOUT: Final = Path(__file__).parents[1]
_LISTENING: Final = "packhook listens on http://"
_SETTINGS: Final = {
    "PACKHOOK_OPERATOR_KEY": OPERATOR_KEY,
    "PACKHOOK_EGRESS_ALLOW": "127.0.0.0/8",
    "PACKHOOK_ALLOW_HTTP": "true",
    "PACKHOOK_LOG_LEVEL": "error",
    "PACKHOOK_PORT": "0",
    "PACKHOOK_MAX_WEBHOOKS_PER_ORGANIZATION": "10000",
    "PACKHOOK_MASTER_KEYS": "bench:" + base64.b64encode(os.urandom(32)).decode(),
}


class Node:
    """Control a node that runs as a process."""

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int, *, is_profiled: bool) -> None:
        self.process = process
        self.host = host
        self.port = port
        self._is_profiled = is_profiled

    def reset_profile(self) -> None:
        """Discard what the profiler, if there is one, has counted so far."""
        if self._is_profiled:
            self.process.send_signal(signal.SIGUSR1)

    async def stop(self) -> LayerCpu:
        """Stop the node; return its profile, empty if it has none."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            output, _ = await self.process.communicate()
        lines = [line.removeprefix(PREFIX) for line in output.decode().splitlines() if line.startswith(PREFIX)]
        return msgspec.json.decode(lines[-1], type=LayerCpu) if lines else LayerCpu()


class Receiver:
    """Control the receiver that runs as a process. ``counter``: the file with the number of arrivals."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, counter: Path, *, tls: bool) -> None:
        self.process = process
        self.counter = counter
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._arrived = SharedCounter(counter)

    @property
    def arrived(self) -> int:
        """Return how many different deliveries arrived so far."""
        return self._arrived.value

    async def wait_for(self, count: int, patience: float) -> None:
        """Wait until ``count`` deliveries arrived, or none for ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        last, until = self.arrived, loop.time() + patience
        while last < count and loop.time() < until:
            await asyncio.sleep(POLL_SECONDS)
            if self.arrived != last:
                last, until = self.arrived, loop.time() + patience

    async def take_log(self, file: Path) -> ReceiptLog:
        """Return the log since the last call, and start a new one."""
        assert self.process.stdin is not None  # noqa: S101 it was started with a pipe
        self.process.stdin.write(f"{file}\n".encode())
        while await read_line(self.process, STOP_SECONDS) != "written":
            if self.process.returncode is not None:
                raise StartError("the receiver has ended; its output is above")
        return msgspec.msgpack.decode(file.read_bytes(), type=ReceiptLog)  # noqa: ASYNC240 nothing else runs


class Publishers:
    """Control the publishers that run as a process and are connected."""

    def __init__(self, process: asyncio.subprocess.Process, file: Path) -> None:
        self._process = process
        self._file = file

    async def publish(self) -> PublishLog:
        """Publish everything; return the log once every request has its response."""
        await _finish(self._process, "the publishers failed", b"go\n")
        return msgspec.msgpack.decode(self._file.read_bytes(), type=PublishLog)


async def start_module(module: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start ``python -m MODULE`` with pipes, without the PACKHOOK_ variables and files of the caller."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    path = os.pathsep.join(filter(None, (str(_CHECKOUT), inherited.get("PYTHONPATH"))))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=inherited | {"PYTHONPATH": path} | environment,
        cwd=tempfile.gettempdir(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


async def run_module(module: str, argument: str, failure: str) -> bytes:
    """Run ``python -m MODULE`` to its end and return its output; raise StartError(``failure``) if it failed."""
    process = await start_module(module, argument)
    try:
        return await _finish(process, failure)
    finally:
        await _kill(process)


async def _finish(process: asyncio.subprocess.Process, failure: str, last_input: bytes | None = None) -> bytes:
    output, _ = await process.communicate(last_input)
    if process.returncode:
        raise StartError(f"{failure}; the output is above")
    return output


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@asynccontextmanager
async def publishers(plan: Plan, started: list[Node], receiver: Receiver, folder: Path) -> AsyncIterator[Publishers]:
    """Start the plan's publishers and connect them; they wait for :meth:`Publishers.publish`."""
    file = folder / "published"
    addresses = [(node.host, node.port) for node in started]
    config = PublishersConfig(plan=plan, nodes=addresses, counter=str(receiver.counter), file=str(file))
    process = await start_module("benchmarks.publishers", msgspec.json.encode(config).decode())
    try:
        await read_line(process)  # "connected"; if it has ended instead, publish() reports that
        yield Publishers(process, file)
    finally:
        await _kill(process)


@asynccontextmanager
async def receiver(plan: Plan, folder: Path, tls: TlsFiles | None, sabotage: str = "") -> AsyncIterator[Receiver]:
    """Start a receiver; stop it at the end."""
    counter = folder / "arrived"
    certificate = "" if tls is None else str(tls.certificate)
    config = ReceiverConfig(plan=plan, counter=str(counter), certificate=certificate, sabotage=sabotage)
    process = await start_module("benchmarks.receiver", msgspec.json.encode(config).decode())
    try:
        yield Receiver(process, int(await read_line(process)), counter, tls=tls is not None)
    finally:
        await _kill(process)


@asynccontextmanager
async def nodes(
    database: str, count: int, tls: TlsFiles | None, *, profiled: bool = False, program: Sequence[str] = SERVE
) -> AsyncIterator[list[Node]]:
    """Start nodes on one database; kill those that still run at the end. ``program``: the module and its arguments."""
    program = ("benchmarks.profiled_node",) if profiled else program
    settings = _SETTINGS | {"PACKHOOK_DATABASE": database}
    if tls is not None:
        settings["PACKHOOK_CA_BUNDLE"] = str(tls.ca_bundle)
    started: list[Node] = []
    try:
        while len(started) < count:
            started += [await _start_node(settings, program, profiled=profiled)]
        yield started
    finally:
        for node in started:
            if node.process.returncode is None:
                node.process.kill()
                await node.process.communicate()


async def _start_node(settings: dict[str, str], program: Sequence[str], *, profiled: bool) -> Node:
    process = await start_module(*program, **settings)
    while line := await read_line(process):
        if line.startswith(_LISTENING):
            host, _, port = line.removeprefix(_LISTENING).partition(":")
            return Node(process, host, int(port), is_profiled=profiled)
    raise StartError("the node did not start; its output is above")


async def read_line(process: asyncio.subprocess.Process, seconds: float = START_SECONDS) -> str:
    """Return the next line of a process's output; empty where it has ended."""
    assert process.stdout is not None  # noqa: S101 it was started with a pipe
    async with asyncio.timeout(seconds):
        return (await process.stdout.readline()).decode().strip()


async def subscribe(node: Node, receiver_url: str, plan: Plan) -> list[WebhookKey]:
    """Create the plan's organizations and webhooks through the API; return the webhooks."""
    numbers = iter(range(plan.organizations))
    created: list[WebhookKey] = []
    lock = threading.Lock()

    def take() -> Iterator[int]:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            yield number

    async def work() -> None:
        created.extend(await asyncio.to_thread(_subscribe, node, receiver_url, plan.fan_out, take()))

    await asyncio.gather(*(work() for _ in range(SUBSCRIBE_THREADS)))
    return created


async def subscribe_dead(node: Node) -> list[WebhookKey]:
    """Create webhooks of a separate organization, at a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as soon_closed:
        url = f"http://127.0.0.1:{soon_closed.getsockname()[1]}"
    return await asyncio.to_thread(_subscribe, node, url, DEAD_WEBHOOKS, [DEAD_ORGANIZATION])


async def subscribe_large(node: Node, receiver_url: str, webhooks: int) -> list[WebhookKey]:
    """Create many webhooks of one more organization."""
    return await asyncio.to_thread(_subscribe, node, receiver_url, webhooks, [LARGE_ORGANIZATION])


def _subscribe(node: Node, receiver_url: str, fan_out: int, numbers: Iterable[int]) -> list[WebhookKey]:
    created = []
    with closing(http.client.HTTPConnection(node.host, node.port, timeout=60)) as connection:
        for number in numbers:
            name = organization_id(number)
            _post(connection, "/organizations", {"id": name})
            for webhook in range(fan_out):
                endpoint = f"{receiver_url}/{number}/{webhook}"
                body = {"event_code": EVENT_CODE, "endpoint": endpoint, "secret": SECRET}
                created.append((name, _post(connection, f"/organizations/{name}/webhooks", body)))
    return created


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, str]) -> str:
    """Create an object through the API; return its id."""
    headers = {"authorization": f"Bearer {OPERATOR_KEY}", "content-type": "application/json"}
    connection.request("POST", f"/v1{path}", msgspec.json.encode(body), headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != http.client.CREATED:
        raise StartError(f"POST {path}: status {response.status}: {content.decode(errors='replace')}")
    return str(msgspec.json.decode(content)["id"])
