"""The headers of every response: the id of its request, what is left of the rate limit, and security; and its log line.

The id is the ``x-request-id`` of the caller where that is well formed. It is in the response, in the audit trail, and
in each line that is logged because of the request (``telemetry/request_ids.py``). The access log has a line for each
response, if the operator switched it on.
"""

import re
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhook.api.forwarded import source_in
from packhook.api.route import BASE
from packhook.core.errors import Allowance
from packhook.core.ids import request_id
from packhook.settings import Settings
from packhook.telemetry import request_ids

_log: Final = structlog.get_logger("packhook.access")

_REQUEST_ID_HEADER: Final = b"x-request-id"
REQUEST_ID: Final = "packhook.request_id"
_BEGAN: Final = "packhook.began"
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

ALLOWANCE: Final = "packhook.allowance"
"""Where the scope of a request has what is left; absent: no limit, or no valid key."""

RATE_LIMIT: Final = {
    "RateLimit-Limit": "How many requests may be made at once.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "In how many seconds all of them are left again.",
}
"""With their meaning, in the order of an Allowance."""

_RATE_LIMIT_NAMES: Final = tuple(name.lower().encode() for name in RATE_LIMIT)

_NO_FRAME: Final = b"x-frame-options"
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (_NO_FRAME, b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_PAGE: Final = (
    b"content-security-policy",
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
"""The policy of every response that is not a page: load nothing. A page sends a policy of its own."""
SECURITY_HEADERS: Final = (*ALWAYS, NO_PAGE)
"""The security headers of a response that is not a page."""

CLOSE: Final = (b"connection", b"close")


# --- the id of a request, and its log line


def begin_request(scope: Scope) -> str:
    """Give a request its id, unless it has one, and return it. Call it in the task that serves the request."""
    identifier: str | None = scope.get(REQUEST_ID)
    if identifier is None:
        identifier = scope[REQUEST_ID] = _given(scope["headers"]) or request_id()
        scope[_BEGAN] = perf_counter()
    request_ids.begin_request(identifier)
    return identifier


def _given(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the caller's id, if there is one and it can be in a header, a log line and a command as it is."""
    given = [value for name, value in headers if name == _REQUEST_ID_HEADER]
    return given[0].decode() if len(given) == 1 and _WELL_FORMED.fullmatch(given[0]) else None


class AccessLog:
    """Write a line for each response, if the setting ``access_log`` is on."""

    def __init__(self, settings: Settings) -> None:
        self._is_on = settings.access_log
        self._source_of = partial(source_in, trusted=settings.trusted_proxies)

    def write(self, scope: Scope, status: int) -> None:
        """Write the line of a request. It has no query and no header, and so nothing that is secret."""
        if self._is_on:
            _log.info(
                "request",
                method=scope["method"],
                path=_shown(scope["path"]),
                status=status,
                duration_ms=round((perf_counter() - scope[_BEGAN]) * 1000, 1),
                client=self._source_of(scope),
                request_id=scope[REQUEST_ID],
            )


def _shown(path: str) -> str:
    """Return the path of a request to the API; of a page only its beginning, for the rest may be a secret link."""
    path = path.partition("?")[0]
    if path.startswith(f"{BASE}/"):
        return path
    first, _, rest = path.removeprefix("/").partition("/")
    return f"/{first}/…" if rest else f"/{first}"


# --- the rate limit


def note_allowance(scope: Scope, allowance: Allowance | None) -> None:
    """Note what is left, for the response."""
    if allowance is not None:
        scope[ALLOWANCE] = allowance


def rate_limit_lines(allowance: Allowance | None) -> list[tuple[bytes, bytes]]:
    """Return the headers, names in lower case; none for no limit."""
    return (
        []
        if allowance is None
        else [(name, b"%d" % number) for name, number in zip(_RATE_LIMIT_NAMES, allowance, strict=True)]
    )


# --- the middleware


def _may_be_framed(policy: bytes) -> bool:
    """Return whether a content security policy names who may show the page in a frame."""
    return b"frame-ancestors " in policy and b"frame-ancestors 'none'" not in policy


class Headers:
    """Give each request an id, and each response that id and the security headers that it does not have itself."""

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool], access_log: AccessLog) -> None:
        self._app = app
        self._is_draining = is_draining
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = begin_request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._access_log.write(scope, message["status"])
                headers = message.get("headers", [])
                own = dict(headers)
                if _may_be_framed(own.get(NO_PAGE[0], NO_PAGE[1])):
                    own[_NO_FRAME] = b""  # the policy says whose; browsers that know no policy show it
                security = (header for header in SECURITY_HEADERS if header[0] not in own)
                last = (CLOSE,) if self._is_draining() else ()
                left = rate_limit_lines(scope.get(ALLOWANCE))
                message["headers"] = [*headers, *left, (_REQUEST_ID_HEADER, identifier.encode()), *security, *last]
            await send(message)

        await self._app(scope, receive, send_with_headers)
