"""What the tests of the API share: a node as a process of its own, and one in the test's own process and time."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Timer
from typing import Final, TypeVar

import httpx

from packhook.api.app import create_app
from packhook.core.clock import Clock
from packhook.delivery.engine import Engine
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store

T = TypeVar("T")

OPERATOR_KEY: Final = "the-operator-key-of-these-tests"
SENDING: Final = {"egress_allow": "127.0.0.0/8", "allow_http": "true", "retry_schedule": "0.2s,0.2s"}
INSIDE: Final = "http://packhook.test"
_SAID: Final = "packhook listens on "


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"authorization": f"Bearer {key}"}


@contextmanager
def running_node(folder: Path, **settings: str) -> Iterator[str]:
    """A node that is started, asked to stop, and waited for; yields its URL. Its log is ``node.log`` in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    environment |= {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
    environment["PACKHOOK_OPERATOR_KEY"] = OPERATOR_KEY
    database = f"sqlite:///{folder / 'packhook.db'}"
    command = [sys.executable, "-m", "packhook", "serve", "--port", "0", "--database", database]
    with (folder / "node.log").open("ab") as log:
        node = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield _listening(node, folder / "node.log")
    finally:
        node.terminate()
        too_late = Timer(30, node.kill)
        too_late.start()
        node.communicate()
        too_late.cancel()
    assert node.returncode == 0, f"the node did not stop well when it was asked to: {node.returncode}"


def _listening(node: subprocess.Popen[str], log: Path) -> str:
    """The URL that the node prints once it listens."""
    assert node.stdout is not None
    too_late = Timer(30, node.kill)
    too_late.start()
    for line in node.stdout:
        if line.startswith(_SAID):
            too_late.cancel()
            return line.removeprefix(_SAID).strip()
    too_late.cancel()
    raise AssertionError(f"the node did not start: {log.read_text()}")


@asynccontextmanager
async def application(
    folder: Path, clock: Clock, kind: type[Service] = Service, max_pending_publishes: int = 5_000
) -> AsyncIterator[tuple[httpx.AsyncClient, Service, Store]]:
    """The application in this process, on a real database and the test's clock, and the operator's client of it.

    It sends nothing. A fault in it is an answer, as it is over a socket.
    """
    settings = Settings(
        database=f"sqlite:///{folder / 'packhook.db'}",
        operator_key=OPERATOR_KEY,
        max_pending_publishes=max_pending_publishes,
    )
    store = open_store(settings, clock)
    await store.open()
    sender = HttpClient(Egress(()))
    await sender.open()
    service = kind(store, Engine(store, sender, settings, clock), settings, clock)
    wire = httpx.ASGITransport(create_app(service, settings), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=wire, base_url=INSIDE, headers=bearer(OPERATOR_KEY)) as api:
            yield api, service, store
    finally:
        await sender.close()
        await store.close()


async def eventually(ask: Callable[[], Awaitable[T]], pleased: Callable[[T], bool], timeout_seconds: float = 15) -> T:
    """Ask until the answer pleases, for what can only be asked; TimeoutError if it never does."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_seconds):
        while not pleased(answer := await ask()):
            again = asyncio.Event()
            loop.call_later(0.02, again.set)
            await again.wait()
    return answer
