"""One POST out, one outcome back, over libcurl on the event loop. Trouble on the wire is a value.

::

    Request ─▶ where (egress: Checked | Refused) ─▶ header lines ─▶ a free Handle ─▶ the multi ─▶ answer or cause
                                                                          ▲                             │
                                                                          └──────── cleared, free ◀─────┘

Connections are kept and shared between requests to one scheme, host and port, and each was judged when it was opened. A
name that now points elsewhere is looked up and judged for each request, and connected to anew at the latest when its
connection is five minutes old. An answer that a kept connection held before the request had arrived is nobody's: the
connection is closed, and the request goes out over a new one, once, within the same time.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pycurl
import structlog

from packhook.core.clock import SECOND
from packhook.core.model import Outcome, Request, Trouble
from packhook.delivery.causes import cause
from packhook.delivery.curl import HEADERS_KEPT, Handle, Sockets
from packhook.delivery.egress import Checked, Egress, Refused
from packhook.delivery.trust import Trust

_log: Final = structlog.get_logger("packhook.send")
_OK: Final = 0
_NOT_ADDED: Final = "Expect:\nAccept:\nContent-Type:"  # libcurl adds these where the request has none


class Sender:
    """Sends requests, many at a time, on the event loop that ``open`` was called in.

    ``ca_bundle``: a PEM file of authorities trusted besides the system's. ``max_connections``: open at once, idle ones
    included; requests beyond wait, and their time runs.
    """

    def __init__(self, egress: Egress, *, ca_bundle: Path | None = None, max_connections: int = 1024) -> None:
        self._egress = egress
        self._ca_bundle = ca_bundle
        self._max_connections = max_connections
        self._idle: list[Handle] = []
        self._sockets = Sockets()

    async def open(self) -> None:
        """Make what belongs to this event loop. InvalidSettings where the operator's bundle is none."""
        self._loop = asyncio.get_running_loop()
        self._trust = Trust(self._ca_bundle)
        self._multi: Any = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, self._max_connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, self._max_connections)

    async def close(self) -> None:
        """Close every connection. Requests still under way end at once, as internal errors."""
        await self._egress.close()
        await self._multi.aclose()
        while self._idle:
            self._idle.pop().close()
        self._sockets.close()
        self._trust.close()

    async def send(self, request: Request) -> Outcome:
        """Send, and answer within ``request.timeout`` milliseconds, from the look-up to the last byte read.

        Never raises for trouble, whoever's it is; only cancellation passes, and ends the exchange at once.
        """
        started = time.perf_counter()
        try:
            return await self._send(request, started)
        except asyncio.CancelledError:
            if _cancelled_by_caller():
                raise
            return _internal("packhook is stopping", started)
        except Exception:  # noqa: BLE001 trouble is a value, ours too
            _log.exception("send_failed")
            return _internal("packhook could not send this; its log says why", started)

    async def _send(self, request: Request, started: float) -> Outcome:
        where = self._egress.known(request.url) or await self._egress.check(request.url, request.timeout)
        if isinstance(where, Refused):
            return Outcome(trouble=where.trouble, detail=where.detail, duration=_since(started))
        lines = _header_lines(request.headers)
        if lines is None:
            return _internal("nothing was sent: a header holds a line break or NUL", started)
        handle = self._idle.pop() if self._idle else self._new_handle()
        try:
            code = await (self._tunnel if where.to else self._exchange)(handle, where, lines, request, started)
            outcome = _outcome(handle, code, _since(started))
        except BaseException:
            self._discard(handle)
            raise
        handle.clear()
        self._idle.append(handle)
        return outcome

    def _new_handle(self) -> Handle:
        return Handle(self._trust.path, self._egress.may_open, self._loop, self._sockets, self._egress.proxy)

    async def _tunnel(
        self, handle: Handle, where: Checked, lines: list[bytes], request: Request, started: float
    ) -> int:
        """The same through the proxy, to one address after the other while it cannot connect to them in time."""
        code = _OK
        for to in where.to:
            handle.clear()
            code = await self._exchange(handle, Checked(where.url, where.pin, to=(to,)), lines, request, started)
            if not handle.is_unreached() or _since(started) >= request.timeout:
                break
        return code

    async def _exchange(
        self, handle: Handle, where: Checked, lines: list[bytes], request: Request, started: float
    ) -> int:
        """Request out, answer in; a second time, over a new connection, where a kept one held an unasked answer."""
        handle.load(where, lines, request.body, max(1, request.timeout - _since(started)))
        code = await self._transfer(handle)
        if handle.unasked:
            handle.clear()
            handle.load(where, lines, request.body, max(1, request.timeout - _since(started)), fresh=True)
            code = await self._transfer(handle)
        return code

    async def _transfer(self, handle: Handle) -> int:
        """Let the transfer run to its end; answers libcurl's error code."""
        try:
            await self._multi.add_handle(handle.easy)
        except pycurl.error as error:
            return int(error.args[0])
        return _OK

    def _discard(self, handle: Handle) -> None:
        """Take a handle out of the multi, wherever it stands; its connection closes with it."""
        with suppress(RuntimeError):  # it is no longer in there
            self._multi.remove_handle(handle.easy)
        handle.close()


def _cancelled_by_caller() -> bool:
    """Whether it is this task that is cancelled, not merely its transfer (as ``close`` does)."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _internal(detail: str, started: float) -> Outcome:
    return Outcome(trouble=Trouble.INTERNAL, detail=detail, duration=_since(started))


def _since(started: float) -> int:
    return int((time.perf_counter() - started) * SECOND)


def _header_lines(headers: tuple[tuple[str, str], ...]) -> list[bytes] | None:
    """The headers as libcurl wants them, without its own additions; None where one holds CR, LF or NUL."""
    text = "\n".join([_NOT_ADDED, *[f"{name}: {value}" if value else f"{name};" for name, value in headers]])
    if text.count("\n") != _NOT_ADDED.count("\n") + len(headers) or "\r" in text or "\x00" in text:
        return None
    return text.encode().split(b"\n")


def _outcome(handle: Handle, code: int, duration: int) -> Outcome:
    """What this transfer came to. A body that we cut off at the limit leaves the answer an answer.

    With trouble, what had come of a final answer is there too, for the log; not if even its head was cut off.
    """
    trouble, detail = (None, "") if code == _OK or handle.body_full else cause(code, handle)
    headed = trouble is None or handle.has_whole_head()
    return Outcome(
        status_code=handle.status_code() if headed else None,
        headers=_headers(handle.lines) if headed else (),
        body=b"".join(handle.body),
        truncated=handle.body_full,
        trouble=trouble,
        detail=detail,
        duration=duration,
    )


def _headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    """The headers in these lines, names in lower case; from the status line to the empty one, 100 at most."""
    headers: list[tuple[str, str]] = []
    for line in b"".join(lines[1 : HEADERS_KEPT + 1]).decode("latin-1").split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            break  # the empty line; what follows are trailers
        headers.append((name.lower(), value.strip()))
    return tuple(headers)
