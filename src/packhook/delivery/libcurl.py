"""Requests over libcurl: whatever is not plain HTTP goes this way, TLS above all.

::

    post ─▶ header lines ─▶ a free Handle (curl.py) ─▶ multi.py ─▶ answer or cause ─▶ told
                                    ▲      ▲              │
                                    │      └─ once more ──┤
                                    └──── cleared, free ◀─┘

Connections are kept and shared between requests to one scheme, host and port that show the same client certificate, or
none, and each was judged when it was opened. A name that now points elsewhere is connected to anew at the latest when
its connection is five minutes old. An answer that a kept connection held before the request had arrived is nobody's:
the connection is closed, and the request goes out over a new one, once, within the same time.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pycurl
import structlog

from packhook.core.model import Outcome, Request
from packhook.delivery.causes import BAD_HEADER, BROKE, STOPPING, Cause, cause, failed, since
from packhook.delivery.curl import Handle, Sockets
from packhook.delivery.egress import Checked, Egress
from packhook.delivery.headers import NUL
from packhook.delivery.limits import HEADERS_KEPT
from packhook.delivery.multi import BROKEN, Multi
from packhook.delivery.tlscauses import is_not_accepted
from packhook.delivery.trust import Trust

_OK: Final = 0
_NOT_ADDED: Final = "Expect:\nAccept:\nContent-Type:"  # libcurl adds these where the request has none
_log: Final = structlog.get_logger("packhook.send")


class Posting:
    """One request under way: request out, answer in; more than once where the first answer is not the last word.

    ``left``: what a proxy is told to connect to, one after the other, while it cannot connect in time.
    """

    __slots__ = ("_curl", "_is_repeated", "_request", "_told", "_where", "began", "handle", "left", "lines")

    def __init__(
        self, curl: "Curl", where: Checked, request: Request, told: Callable[[Outcome], None], began: float
    ) -> None:
        self._curl = curl
        self._where = where
        self._request = request
        self._told = told
        self._is_repeated = False
        self.began = began
        self.left = where.to
        self.lines: list[bytes] = []
        self.handle: Handle | None = None

    def cancel(self) -> None:
        """End it at once, wherever it stands; nothing is told."""
        self._curl.drop(self)

    def begin(self, handle: Handle, *, fresh: bool = False, looking: bool = False) -> None:
        """Load the handle and let the transfer run, within what is left of the time."""
        where, request = self._where, self._request
        if self.left:
            where = Checked(where.url, where.pin, to=self.left[:1])
        handle.load(
            where,
            self.lines,
            request.body,
            max(1, request.timeout - since(self.began)),
            identity=request.identity,
            method=request.method,
            fresh=fresh,
            looking=looking,
        )
        self.handle = handle
        self._curl.multi.add(handle.easy, self._ended)

    def end(self, outcome: Outcome) -> None:
        """Tell whoever asked."""
        try:
            self._told(outcome)
        except Exception:  # noqa: BLE001 a fault in whoever listens may not harm the others
            _log.exception("attempt_callback_failed")

    def fail(self, why: Cause) -> None:
        """It came to nothing; told, unless it was cancelled."""
        if self._curl.drop(self):
            self.end(failed(why, self.began))

    def _ended(self, code: int) -> None:
        """This transfer is over; whether the request is."""
        handle = self.handle
        if handle is None:
            return  # cancelled by whoever was told of another that ended at the same time
        try:
            if code == BROKEN:
                self.fail(BROKE)
            elif not self._goes_again(handle, code):
                outcome = _outcome(handle, code, since(self.began))
                self._curl.free(self, handle)
                self.end(outcome)
        except Exception:  # noqa: BLE001 trouble is a value, ours too
            _log.exception("send_failed")
            self.fail(BROKE)

    def _goes_again(self, handle: Handle, code: int) -> bool:
        """Over a new connection, where a kept one held an unasked answer. Through the proxy, to the next address.

        Where the certificate was not accepted, to see what it says, so that the cause can be told.
        """
        if not self._is_repeated:
            looking = code == pycurl.E_PEER_FAILED_VERIFICATION and not handle.unasked and is_not_accepted(handle)
            if handle.unasked or looking:
                self._is_repeated = True
                handle.clear()
                self.begin(handle, fresh=not looking, looking=looking)
                return True
        if len(self.left) > 1 and handle.is_unreached() and since(self.began) < self._request.timeout:
            self._is_repeated = False
            self.left = self.left[1:]
            handle.clear()
            self.begin(handle)
            return True
        return False


class Curl:
    """Transfers over libcurl, many at a time, on the running event loop.

    ``ca_bundle``: a PEM file of authorities trusted besides the system's; InvalidSettings where it is none.
    ``max_connections``: open at once, idle ones included; requests beyond wait, and their time runs.
    """

    def __init__(self, egress: Egress, ca_bundle: Path | None, max_connections: int) -> None:
        self._egress = egress
        self._loop = asyncio.get_running_loop()
        self._idle: list[Handle] = []
        self._under_way: dict[Posting, None] = {}
        self._trust = Trust(ca_bundle)
        self.multi = Multi(self._loop, max_connections)
        self._sockets = Sockets(self.multi.made)

    def post(self, where: Checked, request: Request, told: Callable[[Outcome], None], began: float) -> Posting:
        """Send to the checked place; ``told`` hears of the end, never before this returns.

        It ends within what is left of ``request.timeout`` milliseconds since ``began`` (monotonic seconds).
        """
        posting = Posting(self, where, request, told, began)
        self._under_way[posting] = None
        lines = _header_lines(request.headers)
        if lines is None:
            self._loop.call_soon(posting.fail, BAD_HEADER)
            return posting
        posting.lines = lines
        try:
            posting.begin(self._idle.pop() if self._idle else self._new_handle())
        except Exception:
            self.drop(posting)
            raise
        return posting

    def free(self, posting: Posting, handle: Handle) -> None:
        """It is over, and its handle is free for another."""
        del self._under_way[posting]
        posting.handle = None
        handle.clear()
        self._idle.append(handle)

    def drop(self, posting: Posting) -> bool:
        """Forget it and its handle, wherever that stands, and close its connection; False where it was over already."""
        if posting not in self._under_way:
            return False
        del self._under_way[posting]
        handle, posting.handle = posting.handle, None
        if handle is not None:
            self.multi.remove(handle.easy)
            handle.close()
        return True

    async def close(self) -> None:
        """Close every connection; what is under way ends as an outcome."""
        for posting in list(self._under_way):
            posting.fail(STOPPING)
        self.multi.close()
        while self._idle:
            self._idle.pop().close()
        self._sockets.close()
        self._trust.close()

    def _new_handle(self) -> Handle:
        return Handle(self._trust.path, self._egress.may_open, self._loop, self._sockets, self._egress.proxy)


def _header_lines(lines: str) -> list[bytes] | None:
    """The headers as libcurl wants them, without its own additions; None where one may not be sent."""
    if NUL in lines:
        return None
    text = "\n".join([_NOT_ADDED, *[_unless_empty(line) for line in lines.split("\r\n")[:-1]]])
    return text.encode().split(b"\n")


def _unless_empty(line: str) -> str:
    """A header without a value is left out, unless a semicolon stands in place of the colon."""
    end = len(line) - len(": ")
    return f"{line[:end]};" if line.find(": ") == end else line


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
