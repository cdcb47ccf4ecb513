"""Run a test without a network: in a network namespace of its own that has only loopback.

``@only_loopback`` runs the decorated test, sync or async, in a fresh Python process inside such a namespace. A test
that gives a foreign address or name to code that could connect to it belongs there: then even a broken address check
reaches no host. Where namespaces are not available the test is skipped; it fails if ``CI`` is set.

The test's arguments must be picklable, so it takes parameters but no fixtures.
"""

import asyncio
import ctypes
import fcntl
import functools
import importlib
import inspect
import os
import pickle
import socket
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

_NO_NAMESPACE: Final = 77
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


def only_loopback(test: Callable[..., Any]) -> Callable[..., None]:
    """Run this test in a process that has no network but loopback."""

    @functools.wraps(test)
    def isolated(*args: object, **kwargs: object) -> None:
        call = pickle.dumps((sys.path, test.__module__, test.__qualname__, args, kwargs))
        child = subprocess.run([sys.executable, __file__], input=call, capture_output=True, timeout=60, check=False)
        if child.returncode == _NO_NAMESPACE:
            _unavailable()
        assert child.returncode == 0, child.stderr.decode(errors="replace")

    return isolated


def _unavailable() -> None:
    reason = "no network namespace available (unshare was refused): the test did not run"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _enter_namespace() -> bool:
    """Enter a new network namespace, as root or as root of a user namespace; return False if neither is allowed."""
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(_CLONE_NEWNET) != 0 and unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    _raise_loopback()
    return True


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        response = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack_from("h", response, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _has_no_route() -> bool:
    return len(Path("/proc/self/net/route").read_text().splitlines()) <= 1


def _run_call() -> int:
    call = sys.stdin.buffer.read()
    if not _enter_namespace():
        return _NO_NAMESPACE
    assert _has_no_route(), "the namespace has a route"
    warnings.simplefilter("error")
    sys.path, module, name, args, kwargs = pickle.loads(call)  # noqa: S301 the parent process wrote it
    test = inspect.unwrap(getattr(importlib.import_module(module), name))
    result = test(*args, **kwargs)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return 0


if __name__ == "__main__":
    sys.exit(_run_call())
