"""libcurl's transfers on the event loop: told of their end by a call, without a task or a future.

::

    add ─▶ libcurl ─ watch this socket, call at that time ─▶ selector, one timer ─▶ the event loop
                ▲                                                                        │
                └──────────────────── what is ready, all of it at once ◀─────────────────┴─▶ ended

A request on a kept connection changes nothing that is watched: a socket stays in the selector when its transfer is
over, and the next one finds it there. What happens to it in between (its other side closes, or says something unasked)
is seen once, and takes it out.

The selector is one of our own, and the event loop watches only that: libcurl closes a socket without a word, and the
number may be anybody's next. A socket that is closed leaves the system's selector by itself; a loop that still took the
number for ours would break who has it then.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any, Final

import pycurl
import structlog

from packhook.core.clock import SECOND

BROKEN: Final = -1
"""In place of one of libcurl's error codes: libcurl itself could not go on."""

_ROUNDING: Final = 0.001  # seconds; event loops call that much too early
_log: Final = structlog.get_logger("packhook.send")


class Multi:
    """Transfers, many at a time, over at most ``max_connections``, idle ones included."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_connections: int) -> None:
        self._loop = loop
        self._ended: dict[Any, Callable[[int], None]] = {}
        self._wanted: dict[int, int] = {}
        self._watched: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._until = math.inf
        self._is_open = True
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, max_connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        loop.add_reader(self._selector.fileno(), self._on_ready)

    def add(self, easy: Any, ended: Callable[[int], None]) -> None:  # noqa: ANN401 pycurl has no types
        """Begin this transfer; ``ended`` hears its code (``pycurl.E_*``, 0 or BROKEN), never before this returns.

        The handle is free again then. ``pycurl.error`` where it cannot be added.
        """
        self._multi.add_handle(easy)
        self._ended[easy] = ended

    def remove(self, easy: Any) -> None:  # noqa: ANN401 as above
        """End it at once, and what it was connected to, if it is under way; nothing is told."""
        if self._ended.pop(easy, None) is not None:
            self._multi.remove_handle(easy)

    def made(self, descriptor: int) -> None:
        """A new socket has this number: what was watched by it is closed."""
        self._wanted.pop(descriptor, None)
        self._stop_watching(descriptor)

    def close(self) -> None:
        """Close every connection. What is under way ends, and nothing is told."""
        self._is_open = False
        for handle in (self._soon, self._timer):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._selector.fileno())
        for easy in list(self._ended):
            self.remove(easy)
        self._multi.close()
        self._selector.close()

    # --- what libcurl wants

    def _on_socket(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """To be told when it is ready to be read or written; or no more, which is noted only."""
        if what == pycurl.POLL_REMOVE:
            self._wanted[descriptor] = 0
            return
        self._wanted[descriptor] = what
        if what != self._watched.get(descriptor):
            self._watch(descriptor, what)

    def _watch(self, descriptor: int, what: int) -> None:
        self._stop_watching(descriptor)
        if what:
            self._selector.register(descriptor, what)
            self._watched[descriptor] = what

    def _stop_watching(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    def _on_timer(self, milliseconds: int) -> None:
        """To be called then: instead of whatever it wanted before."""
        if not self._is_open:
            return
        if milliseconds == 0:
            self._soon = self._soon or self._loop.call_soon(self._on_soon)
            return
        self._until = math.inf if milliseconds < 0 else self._loop.time() + milliseconds / SECOND
        if self._until < self._due:
            self._set_timer()

    def _set_timer(self) -> None:
        """One that comes too early finds out, and is set anew: cheaper than one for each request."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._until
        self._timer = self._loop.call_at(self._until, self._on_time)

    # --- what the event loop tells

    def _on_ready(self) -> None:
        for key, events in self._selector.select(0):
            if self._wanted.get(key.fd):
                self._act(key.fd, events)
            else:
                self._stop_watching(key.fd)  # its other side closed it, or says what nobody asked for
        self._tell()

    def _on_soon(self) -> None:
        self._soon = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._tell()

    def _on_time(self) -> None:
        self._timer, self._due = None, math.inf
        if self._until <= self._loop.time() + _ROUNDING:
            self._until = math.inf  # libcurl says when next
            self._act(pycurl.SOCKET_TIMEOUT, 0)
            self._tell()
        elif self._until < math.inf:
            self._set_timer()

    def _act(self, descriptor: int, events: int) -> None:
        try:
            self._multi.socket_action(descriptor, events)
        except pycurl.error:
            _log.exception("send_failed")
            for easy, ended in list(self._ended.items()):
                self.remove(easy)
                ended(BROKEN)

    def _tell(self) -> None:
        """First they are free, then they are told: whoever is told may begin and cancel others."""
        _, good, bad = self._multi.info_read()
        told = []
        for easy, code in [(easy, 0) for easy in good] + [(easy, code) for easy, code, _ in bad]:
            told.append((self._ended.pop(easy), code))
            self._multi.remove_handle(easy)
        for ended, code in told:
            ended(code)
