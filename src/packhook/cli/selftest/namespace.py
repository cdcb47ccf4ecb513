"""Run the rows of `egress` in a process of their own, in a network namespace that has only loopback.

::

    selftest egress ─▶ python -m packhook.cli.selftest.namespace ─▶ unshare, loopback up, no route? ─▶ rows as JSON

Where no namespace is available, run only the decisions, and call no code that opens sockets.
"""

import asyncio
import ctypes
import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from packhook.cli.selftest.egress import decided
from packhook.cli.selftest.proxied import proxied
from packhook.cli.selftest.rows import Row
from packhook.cli.selftest.sockets import sent

_LIMIT_SECONDS: Final = 120
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_SKIPPED: Final = Row(
    "sockets",
    "everything above through the client, also with a proxy",
    "a network namespace with only loopback",
    "none is to be had here: decided only, no socket was opened",
    "skipped",
)


def run_isolated() -> list[Row]:
    """Return the rows of `egress`, from a process that cannot reach anybody."""
    command = [sys.executable, "-m", "packhook.cli.selftest.namespace"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, timeout=_LIMIT_SECONDS, check=True)  # noqa: S603 ourselves
    return msgspec.json.decode(ran.stdout, type=list[Row])


def enter() -> bool:
    """Enter a namespace, as root, else as root of a user namespace; return False where neither is allowed."""
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(_CLONE_NEWNET) != 0 and unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return False
        _raise_loopback()
        return _has_no_route()
    except (AttributeError, OSError):  # not Linux, or a sandbox that has only half of it
        return False


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack_from("h", answer, 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _has_no_route() -> bool:
    return len(Path("/proc/self/net/route").read_text("utf-8").splitlines()) <= 1


async def rows_of_egress(*, isolated: bool) -> list[Row]:
    """Return all rows where they are safe to run, else only the decisions."""
    return [*await decided(), *([*await sent(), *await proxied()] if isolated else [_SKIPPED])]


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(rows_of_egress(isolated=enter()))))
