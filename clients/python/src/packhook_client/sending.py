"""Send a call until it succeeds or has failed: the decisions, without the I/O, which the two clients do.

::

    attempts(call) ── Attempt ──▶ driver: one HTTP request ── Response | ConnectionFailed ──▶ attempts
                   ── Wait ─────▶ driver: sleep ────────────────────────────────────────────▶ …
                   returns the response, or raises an error of packhook_client.errors
"""

import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from packhook_client.call import Call, Response
from packhook_client.decoding import parse_json
from packhook_client.errors import (
    ApiError,
    ConnectionFailed,
    FieldError,
    InvalidArgument,
    InvalidKey,
    NotFound,
    PackhookError,
    Problem,
    TimedOut,
    UnexpectedResponse,
    error_of,
)
from packhook_client.retry import RetryPolicy, may_repeat, parse_retry_after
from packhook_client.version import __version__

MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024
USER_AGENT: Final = f"packhook-client/{__version__}"
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Bearer(httpx.Auth):
    """Send the key with a request, and show it nowhere else."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["authorization"] = f"Bearer {self._key}"
        yield request


@dataclass(frozen=True, slots=True)
class Server:
    """Say where calls go, and on whose behalf. ``url`` has no slash at its end."""

    url: str
    auth: Bearer = field(repr=False)
    organization: str | None


def server_of(url: str, key: str, organization: str | None) -> Server:
    """Check what a client is made with. Raise InvalidArgument, without the key."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment or "?" in url:
        raise InvalidArgument(f"expected a URL such as http://127.0.0.1:8080, got {_without_password(url)!r}", "url")
    if parsed.userinfo:
        raise InvalidArgument("expected a URL without user and password: the key is an argument of its own", "url")
    bearer = key.strip()
    if not bearer or not bearer.isascii() or not bearer.isprintable():
        raise InvalidKey("a key is visible ASCII: this one is not")
    return Server(url.rstrip("/"), Bearer(bearer), organization)


def _without_password(url: str) -> str:
    return url.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Ask for one HTTP request. ``deadline`` is an instant of ``time.monotonic``."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)
    timeout: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask for a pause."""

    seconds: float


Steps = Generator[Attempt | Wait, Response | ConnectionFailed | None, Response]


def attempts(server: Server, call: Call[Any], policy: RetryPolicy, timeout: float) -> Steps:
    """Yield what has to be done; return the response of success, raise the error of the last attempt otherwise.

    ``timeout`` is for one attempt, in seconds.
    """
    url = server.url + call.path(server.organization) + (f"?{urlencode(call.query)}" if call.query else "")
    ends = time.monotonic() + policy.budget + call.patience
    number, may_be_done = 1, False
    while True:
        deadline = min(ends, time.monotonic() + timeout + call.patience)
        left = max(0.001, deadline - time.monotonic())
        outcome = yield Attempt(call.method, url, _headers(call), call.body, left, deadline)
        error = _error(outcome)
        if error is None:
            assert isinstance(outcome, Response)  # noqa: S101 an attempt has one of the two outcomes
            return outcome
        if may_be_done and call.method == "DELETE" and isinstance(error, NotFound):
            return Response(204, {}, b"")  # an attempt before this one did it, and its response was lost
        wait = policy.wait(error, number, ends - time.monotonic(), random.random())  # noqa: S311 no secret
        if wait is None or not may_repeat(call, error):
            raise error
        may_be_done = may_be_done or not isinstance(error, ConnectionFailed) or error.was_sent
        number += 1
        yield Wait(wait)


def _headers(call: Call[Any]) -> dict[str, str]:
    headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": USER_AGENT}
    if call.body is not None:
        headers["content-type"] = "application/json"
    if call.idempotency_key is not None:
        headers["idempotency-key"] = call.idempotency_key
    if call.if_match is not None:
        headers["if-match"] = call.if_match
    return headers


def failure(error: httpx.HTTPError | httpx.InvalidURL, server: Server) -> ConnectionFailed:
    """Return the error of a request without a response; httpx's own would lead to the request, and to the key."""
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    words = "no response in time" if kind is TimedOut else str(error) or type(error).__name__
    return kind(f"cannot reach {server.url}: {words}", not isinstance(error, _NOT_SENT))


class Body:
    """Collect a response body: not without end, and not beyond the deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Add a part. Raise httpx.ReadTimeout after the deadline, UnexpectedResponse beyond the largest size."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > MAX_RESPONSE_BYTES:
            raise UnexpectedResponse(f"the response has more than {MAX_RESPONSE_BYTES} bytes: is it packhook?")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout("the body did not come in time")

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._chunks)


# --- what a response says


def response_of(response: httpx.Response, body: Body) -> Response:
    """Return what the clients hand on of a response."""
    return Response(response.status_code, {name.lower(): text for name, text in response.headers.items()}, body.whole())


def _error(outcome: Response | ConnectionFailed | None) -> PackhookError | None:
    if not isinstance(outcome, Response):
        return outcome
    if 200 <= outcome.status < 300:
        return None
    if outcome.status < 400:
        return UnexpectedResponse(f"the server responded with {outcome.status}: is it packhook?")
    return _api_error(outcome)


def _api_error(response: Response) -> ApiError:
    """Return the error of a response, also of one that a proxy made."""
    try:
        body = parse_json(response.content)
    except ValueError:
        body = None
    said = body if isinstance(body, dict) else {}
    found = said.get("errors")
    wrong = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    type_, title, detail = (_text_in(said, name) for name in ("type", "title", "detail"))
    path, _, code = type_.rpartition("/")
    return error_of(
        Problem(
            status=response.status,
            code=code if path.endswith("errors") and code else f"http_{response.status}",
            title=title or f"the server responded with {response.status}",
            detail=detail,
            errors=tuple(map(_field_error, wrong)),
            request_id=response.request_id,
            retry_after=parse_retry_after(response.headers, time.time()),
        )
    )


def _field_error(said: dict[str, Any]) -> FieldError:
    return FieldError(_text_in(said, "field"), _text_in(said, "message"), _text_in(said, "code"))


def _text_in(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
