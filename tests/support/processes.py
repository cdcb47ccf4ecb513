"""Run packhook as its users do, in processes: a node that can be killed and restarted, and any other command.

    async with running(tmp_path, **SENDING) as node, node.client() as operator:
        ...
        await node.kill()   # -9
        await node.start()  # the same database, the same port

Each process ends with the ``async with`` that started it, and inherits no ``PACKHOOK_`` variable.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import httpx

from support.forking import DEVNULL, PIPE, STDOUT, Forked, fork

OPERATOR_KEY: Final = "pho_the-operator-key-of-these-tests"
SENDING: Final = {"egress_allow": "127.0.0.0/8", "allow_http": "true", "retry_schedule": "0.1s,0.1s"}
READY: Final = "packhook listens on "
START_SECONDS: Final = 30.0
RUN_SECONDS: Final = 120.0
END_SECONDS: Final = 45.0
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings and no others, without profiles and a terminal's width."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_") and name != "COLUMNS"}
    return (
        {"XDG_CONFIG_HOME": "/nonexistent"}
        | own
        | {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
    )


class Ran(NamedTuple):
    """Hold the result of one run of a command."""

    code: int
    out: str
    err: str


async def packhook(
    *arguments: str,
    folder: Path | None = None,
    given: str | bytes = "",
    settings: Mapping[str, str] = NOTHING,
) -> Ran:
    """Run ``packhook ARGUMENTS`` to its end, with ``given`` on its standard input and settings in its environment."""
    process = await fork(
        *arguments, folder=folder, environment=environment(settings), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            out, err = await process.communicate(given.encode() if isinstance(given, str) else given)
    finally:
        await _end(process)
    return Ran(process.returncode or 0, out.decode(), err.decode())


class Program:
    """Run a command in the background, and keep its lines (standard output and error together) and its exit code."""

    def __init__(self, process: Forked) -> None:
        self._process = process
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name=f"reading-{process.pid}")
        self.printed: list[str] = []

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Return the exit code, None while it runs; a negative one is the signal that ended it."""
        return self._process.returncode

    def send(self, what: signal.Signals) -> None:
        """Send a signal to this process only; do nothing if it has ended.

        ``Process.send_signal`` would reap the process, and so take its exit code from the task that waits.
        """
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, what)

    async def wait_for_line(self, expected: str | Callable[[str], bool], limit_seconds: float = START_SECONDS) -> str:
        """Wait for the first line that begins so, or for which the function is true; fail if there is none in time."""
        seen = 0
        async with asyncio.timeout(limit_seconds):
            while True:
                for line in self.printed[seen:]:
                    if line.startswith(expected) if isinstance(expected, str) else expected(line):
                        return line
                seen = len(self.printed)
                assert not self._reading.done(), f"it ended without printing {expected}: {self.printed}"
                self._changed.clear()
                await self._changed.wait()

    async def wait(self, limit_seconds: float = END_SECONDS) -> int:
        """Wait until it has ended and its output is read; return the exit code."""
        async with asyncio.timeout(limit_seconds):
            code = await self._process.wait()
            await self._reading
        return code

    async def close(self) -> None:
        """Kill it."""
        await _end(self._process)
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                self.printed.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.set()
        finally:
            self._changed.set()


async def _end(process: Forked) -> None:
    """Kill a process, if it still runs, and its children."""
    if process.returncode is None:
        for pid in (*children(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(process.wait(), END_SECONDS)


async def start(*arguments: str, folder: Path | None = None, settings: Mapping[str, str] = NOTHING) -> Program:
    """Start ``packhook ARGUMENTS`` in the background; the caller closes it."""
    process = await fork(
        *arguments, folder=folder, environment=environment(settings), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    return Program(process)


@asynccontextmanager
async def started(
    *arguments: str, folder: Path | None = None, settings: Mapping[str, str] = NOTHING
) -> AsyncIterator[Program]:
    """Run a command until the end of this block."""
    program = await start(*arguments, folder=folder, settings=settings)
    try:
        yield program
    finally:
        await program.close()


class Node:
    """Run ``packhook serve`` on a database of its own, restarted on the same port."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.database = folder / "packhook.db"
        self.port = 0
        self.runs: list[Program] = []
        self.listening = asyncio.Event()
        self._settings = {"operator_key": OPERATOR_KEY, "database": f"sqlite:///{self.database}", **settings}

    @property
    def url(self) -> str:
        """Return its URL, which stays the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def latest(self) -> Program:
        """Return the latest run."""
        return self.runs[-1]

    @property
    def printed(self) -> str:
        """Return the output of all runs."""
        return "\n".join(line for run in self.runs for line in run.printed)

    async def start(self, **changed: str) -> None:
        """Start it, and return when it listens; ``changed`` are settings that change from now on."""
        self._settings |= changed
        program = await start("serve", "--port", str(self.port), folder=self.folder, settings=self._settings)
        self.runs.append(program)
        line = await program.wait_for_line(READY)
        self.port = int(line.rpartition(":")[2])
        self.listening.set()

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.listening.clear()
        self.latest.send(signal.SIGKILL)
        assert await self.latest.wait() == -signal.SIGKILL

    async def stop(self, what: signal.Signals = signal.SIGTERM) -> int:
        """Stop it; return the exit code."""
        self.listening.clear()
        self.latest.send(what)
        return await self.latest.wait()

    def client(self, key: str = OPERATOR_KEY) -> httpx.AsyncClient:
        """Return a client of its API, with a key."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30
        )


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[Node]:
    """Run a node; if it still runs at the end, stop it and require exit code 0."""
    node = Node(folder, settings)
    try:
        await node.start()
        yield node
        if node.latest.code is None:
            assert await node.stop() == 0, node.printed
    finally:
        for run in node.runs:
            await run.close()


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in a folder, in order."""
    return sorted(folder.glob(pattern))


def children(pid: int) -> list[int]:
    """Return the running children of a process; none if the system does not say."""
    return [child for child, parent in _processes() if parent == pid]


def _processes() -> Iterator[tuple[int, int]]:
    """Yield every running process with its parent."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(status.parent.name), int(parent)
