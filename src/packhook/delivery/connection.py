"""One kept connection of plain HTTP/1.1: a request out, its answer in, one after another.

::

    begin ─ is it clean? ─▶ request out ─▶ data_received ─ was it asked for? ─▶ answer.py ─▶ ended (pool)
                 │                                                 │
                 └── no: False                                     └── no: again (pool), over a new connection

An answer that was there, or on its way, before the request can have arrived is nobody's (traffic.py tells).
"""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from packhook.core.model import Outcome
from packhook.delivery import causes
from packhook.delivery.answer import Answer
from packhook.delivery.causes import Cause, since
from packhook.delivery.traffic import Traffic, is_readable, traffic_of


class Asking:
    """A request as its connection sees it: its bytes, and since when its time runs (monotonic seconds)."""

    __slots__ = ("began", "body", "head")

    def __init__(self, began: float) -> None:
        self.began = began
        self.head = self.body = b""


class Pool(Protocol):
    """Whose connection it is."""

    def keep(self, connection: "Connection") -> None:
        """It may be used again."""
        ...

    def drop(self, connection: "Connection") -> None:
        """It may not; it is closed, or is about to be."""
        ...

    def ended(self, asking: Any, outcome: Outcome) -> None:  # noqa: ANN401 the pool's own
        """What a request came to; told after what became of its connection."""
        ...

    def again(self, asking: Any) -> None:  # noqa: ANN401 as above
        """This request met a connection that was dead or poisoned: it goes over a new one."""
        ...


class Connection:
    """An ``asyncio.Protocol``, without its base class, which would keep it from being compiled.

    ``opened`` is connected, to what ``key`` names. ``since`` and ``idle_since`` are monotonic seconds.
    ``ready`` is called before anything can be received: what comes before the first request is its answer all the same.
    """

    def __init__(self, key: str, opened: socket.socket, pool: Pool, ready: Callable[["Connection"], None]) -> None:
        self._ready = ready
        self.key = key
        self.since = self.idle_since = time.monotonic()
        self._socket = opened
        self._pool = pool
        self._answer = Answer()
        self._asking: Asking | None = None
        self._before: Traffic | None = None
        self._read = 0
        self._transport: Any = None

    # --- for the pool

    def begin(self, asking: Asking) -> bool:
        """Send this; False where something is there already that no request asked for, or the other side is gone."""
        if self._transport.is_closing():
            return False
        if self._read:
            self._before = traffic_of(self._socket)
            if not self._is_clean(self._before):
                return False
        self._answer.clear()
        self._asking = asking
        self._transport.write(asking.head + asking.body)
        return True

    def _is_clean(self, now: Traffic | None) -> bool:
        """Whether all that was received was read, the last answer's request arrived whole, and no end was received."""
        if now is None:
            return not is_readable(self._socket)
        return now.is_settled and now.received == self._read

    def close(self) -> None:
        """At once; nobody is told."""
        self._asking = None
        self._answer.close()
        if self._transport is None:
            self._socket.close()
        else:
            self._transport.abort()

    def time_out(self) -> None:
        """The request's time is over."""
        if self._answer.has_begun:
            self._fail(causes.READING)
        else:
            self._fail(causes.SENDING if self._transport.get_write_buffer_size() else causes.WAITING)

    # --- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to be used."""
        self._transport = transport
        ready, self._ready = self._ready, _over  # it holds the first request, which holds this
        ready(self)

    def data_received(self, data: bytes) -> None:
        """A part of the answer; or something that nobody asked for."""
        if self._asking is None:
            self._transport.abort()
            return
        before, self._before = self._before, None
        self._read += len(data)
        if before is not None:
            now = traffic_of(self._socket)
            if now is not None and not now.has_answered(before):
                self._go_again(self._asking)
                return
        if self._answer.feed(data):
            self._end(self._answer.trouble)

    def pause_writing(self) -> None:
        """The other side does not take the request as fast as it comes; its time runs."""

    def resume_writing(self) -> None:
        """It does again."""

    def eof_received(self) -> bool:
        """The other side says no more."""
        self.connection_lost(None)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Neither side says more; told twice where the other side's end came first."""
        asking, answer = self._asking, self._answer
        if asking is None:
            answer.close()
            self._pool.drop(self)
        elif self._read and not answer.has_begun:
            self._go_again(asking)
        elif error is None and answer.ends_with_connection():
            self._end(None)
        else:
            self._fail(self._cause_of_loss(error))

    def _cause_of_loss(self, error: Exception | None) -> Cause:
        if isinstance(error, ConnectionResetError):
            return causes.RESET
        if self._answer.has_begun:
            return causes.CLOSED_EARLY
        return causes.LOST_SENDING if self._transport.get_write_buffer_size() else causes.CLOSED

    # --- what becomes of a request

    def _go_again(self, asking: Asking) -> None:
        self.close()
        self._pool.drop(self)
        self._pool.again(asking)

    def _fail(self, cause: Cause) -> None:
        self._answer.keeps = False
        self._end(cause)

    def _end(self, trouble: Cause | None) -> None:
        asking, self._asking = self._asking, None
        answer = self._answer
        outcome = _outcome(answer, trouble, since(asking.began)) if asking else None
        if answer.keeps and trouble is None and not answer.is_cut and not self._transport.get_write_buffer_size():
            self.idle_since = time.monotonic()
            self._pool.keep(self)
        else:
            self.close()
            self._pool.drop(self)
        if outcome is not None:
            self._pool.ended(asking, outcome)


def _over(_: "Connection") -> None:
    """It was ready long ago."""


def _outcome(answer: Answer, trouble: Cause | None, duration: int) -> Outcome:
    """With trouble, what had come of a final answer is there too, for the log; not if even its head was cut off."""
    return Outcome(
        status_code=answer.status if answer.has_head else None,
        headers=tuple(answer.headers) if answer.has_head else (),
        body=b"".join(answer.body),
        truncated=answer.is_cut,
        trouble=None if trouble is None else trouble[0],
        detail="" if trouble is None else trouble[1],
        duration=duration,
    )
