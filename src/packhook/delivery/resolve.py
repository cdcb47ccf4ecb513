"""Asking the system for the addresses of a name, so that a hung name server holds up nothing else.

``getaddrinfo`` cannot be cancelled. So each look-up has a thread of its own, a daemon: a pool's threads would also hold
up the end of the process until the last name server has been given up on (half a minute, usually).
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
"""From a name and a port to every address it has, the preferred first; OSError where it has none."""

MAX_LOOKUPS: Final = 1_000


class NoPlace(OSError):
    """So many look-ups hang, or threads run, that none can begin; it says nothing of the name."""


class SystemResolver:
    """The system's resolver (``/etc/hosts``, DNS, whatever is configured); at most 1,000 look-ups under way."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Every address of the name. ``socket.gaierror`` where it has none, NoPlace where all places are taken."""
        if not self._places.acquire(blocking=False):
            raise NoPlace
        answer: Future[Sequence[Address]] = Future()
        answer.set_running_or_notify_cancel()  # from here on only the thread settles it
        try:
            threading.Thread(target=self._look_up, args=(host, port, answer), daemon=True, name=f"dns {host}").start()
        except RuntimeError:  # the system gives no more threads
            self._places.release()
            raise NoPlace from None
        return await asyncio.wrap_future(answer)

    def _look_up(self, host: str, port: int, answer: "Future[Sequence[Address]]") -> None:
        try:
            found = _addresses(host, port)
        except (OSError, ValueError) as error:  # ValueError: not a name at all, or an address of an unknown kind
            self._places.release()
            answer.set_exception(
                error if isinstance(error, OSError) else socket.gaierror(socket.EAI_NONAME, str(error))
            )
        else:
            self._places.release()
            answer.set_result(found)


def _addresses(host: str, port: int) -> Sequence[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
