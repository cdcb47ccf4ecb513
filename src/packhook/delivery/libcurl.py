"""Requests over libcurl: whatever is not plain HTTP goes this way, TLS above all.

::

    Checked, Request ─▶ header lines ─▶ a free Handle (curl.py) ─▶ the multi ─▶ answer or cause
                                             ▲                        │
                                             └──── cleared, free ◀────┘

Connections are kept and shared between requests to one scheme, host and port that show the same client certificate, or
none, and each was judged when it was opened. A name that now points elsewhere is connected to anew at the latest when
its connection is five minutes old. An answer that a kept connection held before the request had arrived is nobody's:
the connection is closed, and the request goes out over a new one, once, within the same time.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pycurl

from packhook.core.model import Outcome, Request
from packhook.delivery.causes import BAD_HEADER, cause, failed, since
from packhook.delivery.curl import Handle, Sockets
from packhook.delivery.egress import Checked, Egress
from packhook.delivery.limits import HEADERS_KEPT
from packhook.delivery.tlscauses import is_not_accepted
from packhook.delivery.trust import Trust

_OK: Final = 0
_NOT_ADDED: Final = "Expect:\nAccept:\nContent-Type:"  # libcurl adds these where the request has none


class Curl:
    """Transfers over libcurl, many at a time, on the running event loop.

    ``ca_bundle``: a PEM file of authorities trusted besides the system's; InvalidSettings where it is none.
    ``max_connections``: open at once, idle ones included; requests beyond wait, and their time runs.
    """

    def __init__(self, egress: Egress, ca_bundle: Path | None, max_connections: int) -> None:
        self._egress = egress
        self._loop = asyncio.get_running_loop()
        self._idle: list[Handle] = []
        self._sockets = Sockets()
        self._trust = Trust(ca_bundle)
        self._multi: Any = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, max_connections)

    async def close(self) -> None:
        """Close every connection; what is under way is cancelled."""
        await self._multi.aclose()
        while self._idle:
            self._idle.pop().close()
        self._sockets.close()
        self._trust.close()

    async def send(self, where: Checked, request: Request, began: float) -> Outcome:
        """Send to the checked place, within what is left of ``request.timeout`` since ``began`` (monotonic seconds)."""
        lines = _header_lines(request.headers)
        if lines is None:
            return failed(BAD_HEADER, began)
        handle = self._idle.pop() if self._idle else self._new_handle()
        try:
            code = await (self._tunnel if where.to else self._exchange)(handle, where, lines, request, began)
            outcome = _outcome(handle, code, since(began))
        except BaseException:
            self._discard(handle)
            raise
        handle.clear()
        self._idle.append(handle)
        return outcome

    def _new_handle(self) -> Handle:
        return Handle(self._trust.path, self._egress.may_open, self._loop, self._sockets, self._egress.proxy)

    async def _tunnel(self, handle: Handle, where: Checked, lines: list[bytes], request: Request, began: float) -> int:
        """The same through the proxy, to one address after the other while it cannot connect to them in time."""
        code = _OK
        for to in where.to:
            handle.clear()
            code = await self._exchange(handle, Checked(where.url, where.pin, to=(to,)), lines, request, began)
            if not handle.is_unreached() or since(began) >= request.timeout:
                break
        return code

    async def _exchange(
        self, handle: Handle, where: Checked, lines: list[bytes], request: Request, began: float
    ) -> int:
        """Request out, answer in; a second time, over a new connection, where a kept one held an unasked answer.

        And where the certificate was not accepted: to see what it says, so that the cause can be told.
        """
        code = await self._transfer(handle, where, lines, request, began)
        if handle.unasked:
            handle.clear()
            code = await self._transfer(handle, where, lines, request, began, fresh=True)
        elif code == pycurl.E_PEER_FAILED_VERIFICATION and is_not_accepted(handle):
            handle.clear()
            code = await self._transfer(handle, where, lines, request, began, looking=True)
        return code

    async def _transfer(
        self,
        handle: Handle,
        where: Checked,
        lines: list[bytes],
        request: Request,
        began: float,
        *,
        fresh: bool = False,
        looking: bool = False,
    ) -> int:
        """Load the handle and let the transfer run to its end; answers libcurl's error code."""
        left = max(1, request.timeout - since(began))
        handle.load(
            where,
            lines,
            request.body,
            left,
            identity=request.identity,
            method=request.method,
            fresh=fresh,
            looking=looking,
        )
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
