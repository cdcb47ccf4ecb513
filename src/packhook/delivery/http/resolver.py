"""Ask the system for the addresses of a name, so that a hung name server delays nothing else.

``getaddrinfo`` cannot be cancelled. So each look-up has a thread of its own, a daemon: a pool's threads would also
delay the end of the process until the last name server has been given up on (half a minute, usually).
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Final

from packhook.core.ip_policy import Address

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Return every address of a name, the preferred first; OSError where it has none."""

MAX_LOOKUPS: Final = 1_000


class ResolverBusy(OSError):
    """Report that look-ups, threads or open files are used up; the name itself may be valid."""


class SystemResolver:
    """Resolve as the system does (``/etc/hosts``, DNS, whatever is configured); at most 1,000 look-ups at a time."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Return every address of the name. ``socket.gaierror`` where it has none, ResolverBusy without a free slot."""
        if not self._slots.acquire(blocking=False):
            raise ResolverBusy
        found: Future[Sequence[Address]] = Future()
        found.set_running_or_notify_cancel()  # from here on only the thread completes it
        try:
            threading.Thread(target=self._look_up, args=(host, port, found), daemon=True, name=f"dns {host}").start()
        except RuntimeError:  # the system gives no more threads
            self._slots.release()
            raise ResolverBusy from None
        return await asyncio.wrap_future(found)

    def _look_up(self, host: str, port: int, found: "Future[Sequence[Address]]") -> None:
        try:
            addresses = _addresses(host, port)
        except (OSError, ValueError) as error:  # ValueError: not a name at all, or an address of an unknown kind
            self._slots.release()
            if _lacks_descriptors():  # the name servers were not asked, whatever the system's error says
                found.set_exception(ResolverBusy())
                return
            found.set_exception(error if isinstance(error, OSError) else socket.gaierror(socket.EAI_NONAME, str(error)))
        else:
            self._slots.release()
            found.set_result(addresses)


def _lacks_descriptors() -> bool:
    """Return True if this process can open no file or socket."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return True
    return False


def _addresses(host: str, port: int) -> Sequence[Address]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in entries))
