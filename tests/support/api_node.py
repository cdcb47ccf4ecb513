"""Run a node: as a process of its own, or in the test's process with the test's clock."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any, Final, TypeVar

import httpx
from uvicorn.server import ServerState

from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.api.server import server_config
from packhook.core.clock import Clock
from packhook.core.health import LaneReport
from packhook.delivery.fair_queue import Turns
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress_proxy import open_egress
from packhook.delivery.probe import EndpointProbe
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store
from packhook.web.app import mounts
from support.forking import program

T = TypeVar("T")

OPERATOR_KEY: Final = "the-operator-key-of-these-tests"
SENDING: Final = {"egress_allow": "127.0.0.0/8", "allow_http": "true", "retry_schedule": "0.2s,0.2s"}
INSIDE: Final = "http://packhook.test"
_READY: Final = "packhook listens on "


def bearer(key: str) -> dict[str, str]:
    """Return the authorization header of a key."""
    return {"authorization": f"Bearer {key}"}


@contextmanager
def running_node(folder: Path, **settings: str) -> Iterator[str]:
    """Start a node and yield its URL; stop it at the end. Its log is ``node.log`` in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    environment |= {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
    environment["PACKHOOK_OPERATOR_KEY"] = OPERATOR_KEY
    database = f"sqlite:///{folder / 'packhook.db'}"
    command = [program(), "serve", "--port", "0", "--database", database]
    with (folder / "node.log").open("ab") as log:
        node = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield _listening(node, folder / "node.log")
    finally:
        node.terminate()
        kill_timer = Timer(30, node.kill)
        kill_timer.start()
        node.communicate()
        kill_timer.cancel()
    assert node.returncode == 0, f"the node did not stop cleanly: {node.returncode}"


def _listening(node: subprocess.Popen[str], log: Path) -> str:
    """Return the URL that the node prints once it listens."""
    assert node.stdout is not None
    kill_timer = Timer(30, node.kill)
    kill_timer.start()
    for line in node.stdout:
        if line.startswith(_READY):
            kill_timer.cancel()
            return line.removeprefix(_READY).strip()
    kill_timer.cancel()
    raise AssertionError(f"the node did not start: {log.read_text()}")


@asynccontextmanager
async def application(
    folder: Path,
    clock: Clock,
    kind: type[Service] = Service,
    max_pending_publishes: int = 5_000,
    lane_report: Callable[[str], LaneReport | None] = lambda _: None,
    database: str = "",
    **more: Any,  # noqa: ANN401 a setting has its own type
) -> AsyncIterator[tuple[httpx.AsyncClient, Service, Store]]:
    """Run the application in this process, on a real database and the test's clock; yield the operator's client of it.

    It sends no deliveries; ``lane_report`` stands for what a scheduler would have learned. An unhandled exception
    becomes a response, as over a socket. ``more`` are other settings.
    """
    settings = Settings(
        database=database or f"sqlite:///{folder / 'packhook.db'}",
        operator_key=OPERATOR_KEY,
        max_pending_publishes=max_pending_publishes,
        **more,
    )
    store = open_store(settings, clock)
    await store.open()
    sender = HttpClient(open_egress(settings))
    await sender.open()
    service = kind(store, EndpointProbe(sender, settings, clock), lambda: True, lane_report, settings, clock)
    try:
        async with (
            listening(service, settings) as (url, _),
            httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api,
        ):
            yield api, service, store
    finally:
        await sender.close()
        await store.close()


@asynccontextmanager
async def listening(service: Service, settings: Settings) -> AsyncIterator[tuple[str, set[HttpProtocol]]]:
    """Run the API's server in this process; yield its URL and its connections, which end with the block."""
    config = server_config(service, settings, mounts(service, settings))
    config.load()
    state = ServerState()
    protocol = partial(
        HttpProtocol,
        PublishApp(PUBLISH_ROUTES, service, settings, Turns()),
        config=config,
        server_state=state,
        app_state={},
    )
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", state.connections  # type: ignore[misc] # ours alone
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        await asyncio.gather(*state.tasks)


async def eventually(ask: Callable[[], Awaitable[T]], accept: Callable[[T], bool], timeout_seconds: float = 15) -> T:
    """Repeat a request until the result is accepted. Raise TimeoutError if it never is."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_seconds):
        while not accept(answer := await ask()):
            again = asyncio.Event()
            loop.call_later(0.02, again.set)
            await again.wait()
    return answer
