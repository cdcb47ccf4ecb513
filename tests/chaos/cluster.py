"""Run nodes as processes on one database, each on its own port, and restart those that die."""

import asyncio
import base64
import os
import resource
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx

from chaos.crashing_node import VARIABLE
from support.forking import Forked, fork

SETTINGS: Final = {
    "PACKHOOK_OPERATOR_KEY": "pho_chaos_only_on_loopback",
    "PACKHOOK_EGRESS_ALLOW": "127.0.0.0/8",
    "PACKHOOK_ALLOW_HTTP": "true",
    "PACKHOOK_RETRY_SCHEDULE": "0.2s,0.5s,1s,1s,1s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s",
    "PACKHOOK_ATTEMPT_TIMEOUT": "2s",
    "PACKHOOK_LEASE_DURATION": "35s",
    "PACKHOOK_SHUTDOWN_GRACE": "200ms",
    "PACKHOOK_LOG_LEVEL": "error",
    "PACKHOOK_MASTER_KEYS": "chaos:" + base64.b64encode(os.urandom(32)).decode(),
    "PYTHONPATH": str(Path(__file__).parents[1]),
}
RESTART_SECONDS: Final = 0.3
READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


class Cluster:
    """Keep ``count`` nodes running. ``restarts`` counts how often one had died; their output goes to ``log``.

    ``settings`` are environment variables beside those that all proofs share.
    """

    def __init__(self, database: str, count: int, log: int, settings: Mapping[str, str] = NO_SETTINGS) -> None:
        self._settings = settings
        self._database = database
        self._log = log
        self._crash_orders: dict[int, str] = {}
        self._crashed: dict[int, asyncio.Event] = {}
        self._processes: dict[int, Forked] = {}
        self._ports = [_free_port() for _ in range(count)]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self.restarts = 0

    @property
    def urls(self) -> list[str]:
        """Return the URLs of all nodes, running or not."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def __len__(self) -> int:
        return len(self._ports)

    async def open(self) -> None:
        """Start all nodes."""
        self._tasks = [asyncio.create_task(self._keep_running(number)) for number in range(len(self))]

    async def close(self) -> None:
        """Stop all nodes; kill those that still run after 15 seconds."""
        self._closing = True
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await asyncio.gather(*self._tasks)
        except TimeoutError:
            for process in self._processes.values():
                process.send_signal(signal.SIGKILL)
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def send_signal(self, number: int, signum: signal.Signals) -> None:
        """Send a signal to one node; do nothing if it is dead."""
        with suppress(KeyError):
            self._processes[number].send_signal(signum)

    async def wait_for_restart(self, restarts: int) -> None:
        """Wait until nodes have died more than ``restarts`` times, and all respond again."""
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while self.restarts <= restarts or not await self._respond(client):  # noqa: ASYNC110 a process signals nothing
                await asyncio.sleep(POLL_SECONDS)

    async def _respond(self, client: httpx.AsyncClient) -> bool:
        try:
            return all([(await client.get(f"{url}/health")).is_success for url in self.urls])
        except httpx.HTTPError:
            return False

    def limit_file_size(self, limit: int) -> None:
        """Let no running node write beyond this offset of a file; -1: without a limit."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if limit < 0 else limit, hard))

    async def crash_at(self, number: int, point: str, times: int) -> None:
        """Restart a node so that it dies the ``times``-th time it reaches the crash point; wait until it has."""
        self._crash_orders[number] = f"{point}:{times}"
        crashed = self._crashed[number] = asyncio.Event()
        self.send_signal(number, signal.SIGKILL)
        await crashed.wait()

    async def _keep_running(self, number: int) -> None:
        while not self._closing:
            order = self._crash_orders.get(number, "")
            process = self._processes[number] = await self._start(number, order)
            await process.wait()
            if self._closing:
                return
            self.restarts += 1
            if order and process.returncode == -signal.SIGKILL:
                self._crash_orders.pop(number, None)
                self._crashed[number].set()
            await asyncio.sleep(RESTART_SECONDS)

    async def _start(self, number: int, order: str) -> Forked:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
        settings = (
            SETTINGS
            | dict(self._settings)
            | {
                "PACKHOOK_DATABASE": self._database,
                "PACKHOOK_PORT": str(self._ports[number]),
                VARIABLE: order,
            }
        )
        return await fork(
            module="chaos.crashing_node", environment=inherited | settings, stdout=self._log, stderr=self._log
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
