"""One request on the hot path, from its head to its answer: told of each step by the protocol, without a task.

::

    head ─▶ who asks? ─ known ──────────▶ admitted ─┐
                      └ a task looks up ─▶ admitted ─┴─▶ body whole ─▶ begin ─▶ told ─▶ answer

It stands where uvicorn's protocol keeps a cycle of its own, so it has what that looks at: ``response_complete``,
``keep_alive``, ``disconnected`` and ``message_event``.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from packhook.api.bearer import bearer, refuse_repeated
from packhook.api.bodies import check_head, check_size
from packhook.api.door import Door, LeanRoute
from packhook.api.headers import ALWAYS, NO_PAGE
from packhook.api.held import Hold
from packhook.api.lean import Call
from packhook.api.problems import fault_response, problem_response
from packhook.core.errors import PackhookError
from packhook.core.ids import request_id
from packhook.service.authentication import Principal

MOST_BEFORE_ADMITTED: Final = 64 * 1024

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_ALWAYS: Final = b"".join(b"%b: %b\r\n" % header for header in (*ALWAYS, NO_PAGE))
_STATUS: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_JSON: Final = b"content-type: application/json\r\n"


class _Unheard:
    """uvicorn would wake the task of a cycle by this; there is none."""

    def set(self) -> None:
        """Nothing."""


class Exchange:
    """One lean request. ``start`` begins it, ``take`` and ``finish`` bring its body; ``over`` is called at its end.

    ``usual`` are headers of the server's own, the date.
    """

    message_event: Final = _Unheard()

    __slots__ = (
        "_access", "_admitted", "_body", "_call", "_flow", "_headers", "_hold", "_is_whole", "_limit",
        "_looking", "_over", "_request_id", "_route", "_size", "_transport", "_usual", "disconnected",
        "expects_continue", "keep_alive", "response_complete",
    )  # fmt: skip

    def __init__(
        self,
        door: Door,
        route: LeanRoute,
        organization_id: str,
        headers: list[tuple[bytes, bytes]],
        usual: list[tuple[bytes, bytes]],
        transport: asyncio.Transport,
        flow: FlowControl,
        over: Callable[[], None],
    ) -> None:
        self._access = door.service.access
        self._route = route
        self._headers = headers
        self._usual = usual
        self._call = Call(organization_id, dict(headers), door.service)
        self._transport = transport
        self._flow = flow
        self._over = over
        self._limit = route.handler.limit(door.settings)
        self._hold = Hold(door.held, organization_id)
        self._body: list[bytes] = []
        self._size = 0
        self._is_whole = self._admitted = False
        self._request_id = request_id()
        self._looking: asyncio.Future[Principal] | None = None
        self.keep_alive = True
        self.expects_continue = False
        self.disconnected = False
        self.response_complete = False

    def has_header(self, name: bytes) -> bool:
        """Whether this one, in lower case, came with the request."""
        return name in self._call.headers

    # --- what the protocol tells

    def start(self) -> None:
        """It is this request's turn: decide who asks, before theirs is read."""
        self._do(self._ask_who)

    def take(self, chunk: bytes) -> None:
        """A part of the body."""
        if self.response_complete:
            return
        self._body.append(chunk)
        self._size += len(chunk)
        if self._admitted:
            self._do(self._grow, len(chunk))
        elif self._size > MOST_BEFORE_ADMITTED:
            self._flow.pause_reading()

    def leave(self) -> None:
        """The client is gone. What has begun goes on; what is not whole will never be."""
        self.disconnected = True
        if not self._is_whole:
            self._body.clear()
            self._hold.end()

    def finish(self) -> None:
        """The body is whole."""
        self._is_whole = True
        if self._admitted and not self.response_complete:
            self._do(self._begin)

    def _do(self, step: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401 the step's own
        """Where a step fails, that is the answer."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 whatever it was, the client gets an answer and the log the trace
            self._fail(error)

    # --- its steps

    def _ask_who(self) -> None:
        headers = self._call.headers
        if len(headers) < len(self._headers):
            refuse_repeated(self._headers)
        key = bearer(self._call.header(b"authorization"))
        principal = self._access.cached_principal(key)
        if principal is None:
            self._looking = asyncio.ensure_future(self._access.authenticate(key))
            self._looking.add_done_callback(lambda looking: self._do(lambda: self._admit(looking.result())))
        else:
            self._admit(principal)

    def _admit(self, principal: Principal) -> None:
        call = self._call
        self._access.authorize(principal, self._route.scope, call.organization_id)
        check_head(call.header(b"content-type"), call.header(b"content-length"), self._limit)
        if self.disconnected and not self._is_whole:
            return
        self._grow(self._size)
        self._admitted = True
        if self._is_whole:
            self._begin()
            return
        if self.expects_continue:
            self._transport.write(_CONTINUE)
        self._flow.resume_reading()

    def _grow(self, size: int) -> None:
        check_size(self._size, self._limit)
        self._hold.grow(size)

    def _begin(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._route.handler.begin(self._call, body, self._told)

    def _told(self, came: Any) -> None:  # noqa: ANN401 whatever the handler's work answers
        if isinstance(came, Exception):
            self._fail(came)
        else:
            self._write(self._route.status, _JSON, self._route.handler.answer(came))

    # --- its answer

    def _fail(self, error: Exception) -> None:
        """Answer with this error; a fault of ours is told to the log."""
        if isinstance(error, PackhookError):
            if self.response_complete:
                return
            response = problem_response(error)
        else:
            response = fault_response({"path": self._route.path, "packhook.request_id": self._request_id}, error)
        if not self.response_complete:
            self._write(response.status_code, _lines(response.raw_headers), bytes(response.body))

    def _write(self, status: int, lines: bytes, body: bytes) -> None:
        self.response_complete = True
        self._body.clear()
        self._hold.end()
        if not self.disconnected:
            head = b"%b%bcontent-length: %d\r\n%bx-request-id: %b\r\n%b%b\r\n" % (
                _STATUS[status],
                _usual.of(self._usual),
                len(body),
                lines,
                self._request_id.encode(),
                _ALWAYS,
                b"" if self.keep_alive else b"connection: close\r\n",
            )
            self._transport.write(head + body)
            if not self.keep_alive:
                self._transport.close()
        self._over()


class _Usual:
    """The server's own headers as lines: uvicorn makes a new list of them each second, for the date."""

    __slots__ = ("_headers", "_lines")

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._lines = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Of this very list."""
        if headers is not self._headers:
            self._headers, self._lines = headers, _lines(headers)
        return self._lines


_usual: Final = _Usual()


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines, without the length, which every answer is given anew."""
    return b"".join([b"%b: %b\r\n" % header for header in headers if header[0] != b"content-length"])
