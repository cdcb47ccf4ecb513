"""Plain HTTP/1.1 without libcurl: requests over kept connections, told of each step by the event loop, without a task.

::

    post ─▶ place ─┬─ a kept connection that is clean ─────────────┐
                   ├─ room for one more ─▶ open, address by address ┴─▶ connection.py ─▶ ended ─▶ told
                   └─ neither ─▶ wait in line, while the time runs

A connection belongs to one host, port and set of checked addresses: a name that moves gets new ones at once. Each is
judged when it is opened, is closed when it was idle for a minute, and is not used when it is five minutes old.
"""

import asyncio
import errno
import re
import socket
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

import structlog

from packhook.core.clock import SECOND
from packhook.core.model import Outcome, Request
from packhook.delivery import causes
from packhook.delivery.causes import Cause, cause_of_connect, failed
from packhook.delivery.connect import connect
from packhook.delivery.connection import Asking, Connection
from packhook.delivery.egress import Checked
from packhook.delivery.headers import NUL
from packhook.delivery.limits import IDLE_SECONDS, LIFETIME_SECONDS

_log: Final = structlog.get_logger("packhook.send")

TICK_SECONDS: Final = 0.05
SWEEP_SECONDS: Final = 15.0
_PIN: Final = re.compile(r"\+(\[[^\]]+\]|[^:]+):(\d+):(.+)")
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE)


class Place:
    """Where a request goes: what is connected to, and how a request for its URL begins, after its method."""

    __slots__ = ("addresses", "begin", "port")

    def __init__(self, port: int, addresses: tuple[str, ...], begin: str) -> None:
        self.port = port
        self.addresses = addresses
        self.begin = begin


@lru_cache(10_000)
def place_of(url: str, pin: str) -> Place | None:
    """The place of a checked ``http`` URL; None where the pin is not its host's."""
    pinned = _PIN.fullmatch(pin)
    authority, _, path = url.removeprefix("http://").partition("/")
    if pinned is None or authority not in (pinned[1], f"{pinned[1]}:{pinned[2]}"):
        return None
    begin = f" /{path} HTTP/1.1\r\nhost: {authority}\r\n"
    return Place(int(pinned[2]), tuple(pinned[3].split(",")), begin)


class Posting(Asking):
    """One request under way, until ``until`` (monotonic seconds)."""

    __slots__ = ("_pool", "connection", "key", "opening", "place", "told", "until")

    def __init__(
        self,
        pool: "PlainPool",
        where: Checked,
        place: Place,
        told: Callable[[Outcome], None],
        began: float,
        until: float,
    ) -> None:
        super().__init__(began)
        self.until = until
        self._pool = pool
        self.key = where.pin
        self.place = place
        self.told = told
        self.connection: Connection | None = None
        self.opening: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """End it at once, wherever it stands; nothing is told."""
        self._pool.cancel(self)


class PlainPool:
    """Posts over plain connections, ``max_connections`` at a time. ``may_open`` judges each address again."""

    def __init__(self, may_open: Callable[[str, int], bool], max_connections: int) -> None:
        self._may_open = may_open
        self._max = max_connections
        self._loop = asyncio.get_running_loop()
        self._idle: dict[str, list[Connection]] = {}
        self._open: dict[Connection, None] = {}
        self._opening = 0
        self._waiting: dict[Posting, None] = {}
        self._under_way: dict[Posting, None] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    def post(self, where: Checked, request: Request, told: Callable[[Outcome], None], began: float) -> Posting:
        """Send; ``told`` hears of the end, never before this returns."""
        place = place_of(where.url, where.pin)
        posting = Posting(self, where, place or _NOWHERE, told, began, began + request.timeout / SECOND)
        self._under_way[posting] = None
        if self._ticking is None:
            self._ticking = self._loop.call_later(TICK_SECONDS, self._tick)
        head = None if place is None else _head(place, request)
        if head is None:
            cause = causes.LOST_PIN if place is None else causes.BAD_HEADER
            self._loop.call_soon(self._fail, posting, cause)
            return posting
        posting.head, posting.body = head, request.body
        if not self._begin_over_kept(posting):
            self._begin_over_new(posting)
        return posting

    def cancel(self, posting: Posting) -> None:
        """See Posting.cancel."""
        if posting in self._under_way:
            del self._under_way[posting]
            self._let_go(posting)

    async def close(self) -> None:
        """Close every connection; what is under way ends as an outcome."""
        opening = [posting.opening for posting in self._under_way if posting.opening is not None]
        for posting in list(self._under_way):
            self._fail(posting, causes.STOPPING)
        await asyncio.gather(*opening, return_exceptions=True)
        for connection in list(self._open):
            connection.close()
            self.drop(connection)
        for timer in (self._ticking, self._sweeping):
            if timer is not None:
                timer.cancel()

    # --- the pool of a connection

    def keep(self, connection: Connection) -> None:
        """It is free: for who waits for its place, or for later."""
        if self._waiting or connection.idle_since - connection.since > LIFETIME_SECONDS:
            self._give_away(connection)
            return
        self._idle.setdefault(connection.key, []).append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def drop(self, connection: Connection) -> None:
        """It is gone; there is room for another."""
        if connection not in self._open:
            return
        del self._open[connection]
        kept = self._idle.get(connection.key)
        if kept is not None and connection in kept:
            kept.remove(connection)
            if not kept:
                del self._idle[connection.key]
        self._serve_line()

    def ended(self, posting: Posting, outcome: Outcome) -> None:
        """Tell whoever asked."""
        if posting not in self._under_way:
            return
        del self._under_way[posting]
        try:
            posting.told(outcome)
        except Exception:  # noqa: BLE001 a fault in whoever listens may not end the connection's loop
            _log.exception("attempt_callback_failed")

    def again(self, posting: Posting) -> None:
        """Over a new connection, whatever is kept."""
        if posting in self._under_way:
            self._begin_over_new(posting)

    # --- its steps

    def _begin_over_kept(self, posting: Posting) -> bool:
        kept = self._idle.get(posting.key)
        while kept:
            connection = kept.pop()
            if not kept:
                del self._idle[posting.key]
            if time.monotonic() - connection.idle_since < IDLE_SECONDS and connection.begin(posting):
                posting.connection = connection
                return True
            connection.close()
            self.drop(connection)
        return False

    def _begin_over_new(self, posting: Posting) -> None:
        posting.connection = None
        if len(self._open) + self._opening >= self._max and not self._close_one_idle():
            self._waiting[posting] = None
            return
        self._opening += 1
        posting.opening = self._loop.create_task(self._connect(posting))

    async def _connect(self, posting: Posting) -> None:
        """Address by address, each with its share of the time that is left."""
        cause = causes.BLOCKED
        addresses = posting.place.addresses
        try:
            for number, address in enumerate(addresses):
                share = (posting.until - time.monotonic()) / (len(addresses) - number)
                result = await self._try(posting, address, share)
                if result is None:
                    return
                cause = result
        except Exception:  # noqa: BLE001 trouble is a value, ours too
            _log.exception("send_failed")
            cause = causes.BROKE
        finally:
            self._opens_no_more(posting)
        self._fail(posting, cause)
        self._serve_line()

    async def _try(self, posting: Posting, address: str, seconds: float) -> Cause | None:
        """Connect to this address and begin; why not, if not."""
        if not self._may_open(address, posting.place.port):
            return causes.BLOCKED
        try:
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as refused:
            return causes.NO_SOCKET if refused.errno in _OUT_OF_FILES else cause_of_connect(refused.errno)
        connection = Connection(posting.key, opened, self, partial(self._begin_over_first, posting))
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await connect(opened, (address, posting.place.port), seconds)
            await self._loop.create_connection(lambda: _protocol(connection), sock=opened)
        except BaseException as error:
            connection.close()
            self.drop(connection)
            if isinstance(error, OSError):  # TimeoutError is one
                return causes.CONNECTING if isinstance(error, TimeoutError) else cause_of_connect(error.errno)
            raise
        return None

    def _begin_over_first(self, posting: Posting, connection: Connection) -> None:
        """It is connected: from here on the connection works on it, not the task."""
        self._opens_no_more(posting)
        self._open[connection] = None
        posting.connection = connection
        if not connection.begin(posting):
            self._fail(posting, causes.CLOSED)

    def _fail(self, posting: Posting, cause: Cause) -> None:
        self._let_go(posting)
        self.ended(posting, failed(cause, posting.began))

    def _let_go(self, posting: Posting) -> None:
        """Whatever works on it stops, and it stands in no line."""
        self._waiting.pop(posting, None)
        opening = posting.opening
        if opening is not None:
            opening.cancel()
            self._opens_no_more(posting)
            self._loop.call_soon(self._serve_line)  # when its socket is closed
        if posting.connection is not None:
            posting.connection.close()
            self.drop(posting.connection)
            posting.connection = None

    # --- room

    def _opens_no_more(self, posting: Posting) -> None:
        """Counted here, for a task that is cancelled before its first step runs no step at all."""
        if posting.opening is not None:
            posting.opening = None
            self._opening -= 1

    def _close_one_idle(self) -> bool:
        """Make room: the connection that was opened first, of those that nobody uses."""
        for kept in self._idle.values():
            connection = kept[0]
            connection.close()
            self.drop(connection)
            return True
        return False

    def _give_away(self, connection: Connection) -> None:
        """To the first in line who may use it; otherwise it makes room."""
        first = next(iter(self._waiting), None)
        is_young = connection.idle_since - connection.since <= LIFETIME_SECONDS
        if first is not None and is_young and first.key == connection.key and connection.begin(first):
            del self._waiting[first]
            first.connection = connection
            return
        connection.close()
        self.drop(connection)

    def _serve_line(self) -> None:
        while self._waiting and len(self._open) + self._opening < self._max:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self._begin_over_new(first)

    # --- time

    def _tick(self) -> None:
        self._ticking = None
        now = time.monotonic()
        for posting in [each for each in self._under_way if each.until <= now]:
            if posting.connection is not None:
                posting.connection.time_out()
            else:
                self._fail(posting, causes.NO_CONNECTION if posting.opening is None else causes.CONNECTING)
        if self._under_way and self._ticking is None:
            self._ticking = self._loop.call_later(TICK_SECONDS, self._tick)

    def _sweep(self) -> None:
        """Close what was idle for too long."""
        self._sweeping = None
        oldest = time.monotonic() - IDLE_SECONDS
        for connection in [each for kept in self._idle.values() for each in kept if each.idle_since < oldest]:
            connection.close()
            self.drop(connection)
        if self._idle:
            self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep)


_NOWHERE: Final = Place(0, (), "")


def _protocol(connection: Any) -> asyncio.Protocol:  # noqa: ANN401 it is one, though it does not inherit
    return connection  # type: ignore[no-any-return]


def _head(place: Place, request: Request) -> bytes | None:
    """The head of the request; None where a header may not be sent."""
    if NUL in request.headers:
        return None
    return f"{request.method}{place.begin}{request.headers}content-length: {len(request.body)}\r\n\r\n".encode()
