"""Run packhook's commands in processes of their own that are forked from one that has imported packhook.

A new interpreter needs half a second of CPU for its imports, a fork needs some milliseconds. The process is as real as
a new one: it has its own descriptors, folder, environment, exit code, and can be killed. Tests of what the interpreter
itself does (``PYTHONOPTIMIZE``, closed descriptors, encodings, lazy imports) start a new one.

::

    test ── socket: arguments, folder, environment, three descriptors ──▶ server ── fork ──▶ packhook ARGUMENTS
         ◀────────────────────── process id, at the end its status ──────────┘   kills it if the socket is closed
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Final

PIPE: Final = subprocess.PIPE
STDOUT: Final = subprocess.STDOUT
DEVNULL: Final = subprocess.DEVNULL
_SERVER: Final = Path(__file__).with_name("fork_server.py")
_TOOLS: Final = ("benchmarks", "chaos")
_LONGEST_LINE: Final = 2**20
_PROGRAM: Final = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = dict(module={module!r}, arguments=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
socket.send_fds(server, [json.dumps(request).encode() + b"\\n"], [0, 1, 2])
pid = int(server.recv(64))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
status = int(server.recv(64))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def programs() -> Path:
    """Start this test process's server, once; return a folder with programs that ask it for a fork."""
    folder = Path(tempfile.mkdtemp(prefix="packhook-fork-"))
    address = str(folder / "server")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_") and name != "COLUMNS"}
    server = subprocess.Popen([sys.executable, "-P", str(_SERVER), address], stdin=PIPE, stdout=PIPE, env=own)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdout.readline()  # it listens
    server.stdout.close()
    for module in ("packhook", *_TOOLS):
        text = _PROGRAM.format(python=sys.executable, address=address, module=module)
        (folder / module).write_text(text)
        (folder / module).chmod(0o700)
    atexit.register(server.communicate)  # a worker that is killed does not come here: the server sees it
    return folder


def program(module: str = "packhook") -> str:
    """Return the path of that program, or of one for a tool of the checkout.

    It passes on its descriptors and signals, and ends as the fork does.
    """
    return str(programs() / module)


class Forked:
    """Hold a forked process, with those members of ``asyncio.subprocess.Process`` that the tests use."""

    def __init__(self, pid: int, status: StreamReader, closing: ExitStack) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: int | None = None
        self.stdout: StreamReader | None = None
        self.stderr: StreamReader | None = None
        self._closing = closing
        self._ended = asyncio.create_task(self._end(status), name=f"forked-{pid}")

    async def _end(self, status: StreamReader) -> None:
        line = await status.readline()
        assert line, f"the fork server ended before process {self.pid}"
        self.returncode = int(line)
        self._closing.close()

    async def wait(self) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        await asyncio.shield(self._ended)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to this process only; do nothing if it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def communicate(self, given: bytes = b"") -> tuple[bytes, bytes]:
        """Write to its standard input, read both outputs to their end, wait for its end."""
        out, err, *_ = await asyncio.gather(_read(self.stdout), _read(self.stderr), self._write(given), self.wait())
        return out, err

    async def _write(self, given: bytes) -> None:
        if self.stdin is None:
            return
        descriptor, self.stdin = self.stdin, None
        await asyncio.to_thread(_write_all, descriptor, given)


async def fork(
    *arguments: str,
    module: str = "packhook",
    folder: Path | None = None,
    environment: Mapping[str, str],
    stdin: int = DEVNULL,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> Forked:
    """Start ``python -m MODULE ARGUMENTS``, the leader of a session of its own.

    Each stream is PIPE, DEVNULL or a descriptor; ``stderr`` may be STDOUT.
    """
    address = programs() / "server"
    closing = ExitStack()
    theirs: list[int] = []
    ours: list[int | None] = []
    for number, kind in enumerate((stdin, stdout, stderr)):
        their, our = _stream(kind, theirs, is_input=number == 0)
        theirs.append(their)
        ours.append(our)
    server = socket.socket(socket.AF_UNIX)
    server.connect(str(address))
    request = {
        "module": module,
        "arguments": arguments,
        "folder": str(folder or Path.cwd()),
        "environment": {**environment},
    }
    content = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(server, [content], theirs)
    server.sendall(content[sent:])
    for descriptor in theirs:
        os.close(descriptor)
    status, writer = await asyncio.open_connection(sock=server)
    closing.callback(writer.close)
    forked = Forked(int(await status.readline()), status, closing)
    forked.stdin = ours[0]
    forked.stdout, forked.stderr = [await _reader(descriptor) for descriptor in ours[1:]]
    return forked


def _stream(kind: int, before: Sequence[int], *, is_input: bool) -> tuple[int, int | None]:
    """Return the child's descriptor of a stream and ours, if it is a pipe."""
    if kind == DEVNULL:
        return os.open(os.devnull, os.O_RDONLY if is_input else os.O_WRONLY), None
    if kind == STDOUT:
        return os.dup(before[1]), None
    if kind != PIPE:
        return os.dup(kind), None
    reading, writing = os.pipe()
    return (reading, writing) if is_input else (writing, reading)


async def _reader(descriptor: int | None) -> StreamReader | None:
    """Return a reader of a pipe."""
    if descriptor is None:
        return None
    reader = StreamReader(limit=_LONGEST_LINE)
    protocol = StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb"))
    return reader


async def _read(reader: StreamReader | None) -> bytes:
    return await reader.read() if reader is not None else b""


def _write_all(descriptor: int, given: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:  # it need not read its input
        pipe.write(given)
