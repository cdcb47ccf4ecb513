"""The nodes: processes on one database, restarted when they die, each on a port of its own that it keeps."""

import asyncio
import base64
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from packhook.cli.prove.node import VARIABLE

SETTINGS: Final = {
    "PACKHOOK_OPERATOR_KEY": "pho_prove_only_on_loopback",
    "PACKHOOK_EGRESS_ALLOW": "127.0.0.0/8",
    "PACKHOOK_ALLOW_HTTP": "true",
    "PACKHOOK_RETRY_SCHEDULE": "0.2s,0.5s,1s,1s,1s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s",
    "PACKHOOK_ATTEMPT_TIMEOUT": "2s",
    "PACKHOOK_LEASE_DURATION": "35s",
    "PACKHOOK_SHUTDOWN_GRACE": "3s",
    "PACKHOOK_LOG_LEVEL": "error",
    "PACKHOOK_MASTER_KEYS": "prove:" + base64.b64encode(os.urandom(32)).decode(),
}
RESTART_SECONDS: Final = 0.3


class House:
    """So many nodes. ``deaths`` counts how often one had to be restarted; what they say goes to ``log``."""

    def __init__(self, database: str, count: int, log: int) -> None:
        self._database = database
        self._log = log
        self._orders: dict[int, str] = {}
        self._died: dict[int, asyncio.Event] = {}
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ports = [_free_port() for _ in range(count)]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self.deaths = 0

    @property
    def urls(self) -> list[str]:
        """Where they listen, or will."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def __len__(self) -> int:
        return len(self._ports)

    async def open(self) -> None:
        """Start them all."""
        self._tasks = [asyncio.create_task(self._keep(number)) for number in range(len(self))]

    async def close(self) -> None:
        """End them all."""
        self._closing = True
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        try:
            async with asyncio.timeout(15):
                await asyncio.gather(*self._tasks)
        except TimeoutError:
            for process in self._processes.values():
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, number: int, what: signal.Signals) -> None:
        """A signal to one node; nothing where it is dead already."""
        with suppress(ProcessLookupError, KeyError):
            self._processes[number].send_signal(what)

    async def restart_to_die(self, number: int, step: str, times: int) -> None:
        """Kill a node; the next one in its place kills itself when it reaches the step so many times. Until it has."""
        self._orders[number] = f"{step}:{times}"
        died = self._died[number] = asyncio.Event()
        self.send(number, signal.SIGKILL)
        await died.wait()

    async def _keep(self, number: int) -> None:
        while not self._closing:
            order = self._orders.get(number, "")
            process = self._processes[number] = await self._start(number, order)
            await process.wait()
            if self._closing:
                return
            self.deaths += 1
            if order and process.returncode == -signal.SIGKILL:
                self._orders.pop(number, None)
                self._died[number].set()
            await asyncio.sleep(RESTART_SECONDS)

    async def _start(self, number: int, order: str) -> asyncio.subprocess.Process:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
        settings = SETTINGS | {
            "PACKHOOK_DATABASE": self._database,
            "PACKHOOK_PORT": str(self._ports[number]),
            VARIABLE: order,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "packhook.cli.prove.node", env=own | settings,
            stdin=asyncio.subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
