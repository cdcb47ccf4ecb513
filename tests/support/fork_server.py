"""Import packhook, then fork a process for each request: the server of ``forking.py``. Run as a program.

It ends when its standard input does, kills what it started, and removes its folder.
"""

import gc
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from runpy import run_module
from types import FrameType
from typing import Any, Final

import packhook

Request = dict[str, Any]


class Server:
    """Fork at each request, tell how each process ended, and kill those whose starter has gone."""

    def __init__(self, address: str) -> None:
        self._selector: Final = selectors.DefaultSelector()
        self._waiting: dict[int, socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(100)
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def run(self) -> Request | None:
        """Serve until standard input ends; return None then, and in each forked process its request."""
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; pytest ends this process
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for source in (0, self._listener, self._woken):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    self._kill_all()
                    return None
                if key.fileobj is self._listener:
                    request = self._fork(self._listener.accept()[0])
                    if request is not None:
                        return request
                elif key.fileobj is self._woken:
                    with suppress(BlockingIOError):
                        self._woken.recv(4096)
                    self._reap()
                else:
                    self._kill(key.data)  # its socket was closed

    def _fork(self, connection: socket.socket) -> Request | None:
        content, descriptors, *_ = socket.recv_fds(connection, 2**20, 3)
        while not content.endswith(b"\n"):
            content += connection.recv(2**20)
        pid = os.fork()
        if pid == 0:
            self._leave()
            connection.close()
            os.setsid()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            request: Request = json.loads(content)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        self._waiting[pid] = connection
        with suppress(OSError):
            connection.sendall(f"{pid}\n".encode())
        self._selector.register(connection, selectors.EVENT_READ, pid)
        return None

    def _leave(self) -> None:
        """Close everything of the server in a forked process, and take back its signal handlers."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for opened in (self._listener, self._woken, self._wake, *self._waiting.values()):
            opened.close()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                connection = self._waiting.pop(pid, None)
                if connection is not None:
                    with suppress(OSError):
                        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                    with suppress(KeyError):  # the connection of a killed one
                        self._selector.unregister(connection)
                    connection.close()

    def _kill(self, pid: int) -> None:
        if pid in self._waiting:
            os.kill(pid, signal.SIGKILL)
            self._selector.unregister(self._waiting[pid])  # it is closed when the process has ended

    def _kill_all(self) -> None:
        for pid in self._waiting:
            os.kill(pid, signal.SIGKILL)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGCHLD, so that the wake-up descriptor becomes readable."""


def become(request: Request) -> None:
    """Take the folder, the environment, the arguments and the standard streams of a request, as a new interpreter."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    sys.path[:0] = ["", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 for the rest of this process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 as above
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def import_all() -> None:
    """Import every module of packhook that only defines things."""
    for module in pkgutil.walk_packages(packhook.__path__, "packhook."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def main() -> None:
    """Serve; in a forked process run the module of its request."""
    import_all()
    server = Server(sys.argv[1])
    gc.collect()
    gc.freeze()
    os.write(1, b"listening\n")
    request = server.run()
    if request is None:
        shutil.rmtree(Path(sys.argv[1]).parent)
    else:
        become(request)
        run_module(request["module"], run_name="__main__")


if __name__ == "__main__":
    main()
