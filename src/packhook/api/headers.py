"""ASGI middleware: the headers that every response carries, the id of every request, and paths that no route has."""

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhook.api.access_log import AccessLog, begin_request
from packhook.api.rate_limits import ALLOWANCE, header_lines
from packhook.api.requests import NO_ROUTE, has_encoded_separator

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
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
                own = {name for name, _ in headers}
                security = (header for header in SECURITY_HEADERS if header[0] not in own)
                last = (CLOSE,) if self._is_draining() else ()
                left = header_lines(scope.get(ALLOWANCE))
                message["headers"] = [*headers, *left, (b"x-request-id", identifier.encode()), *security, *last]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RejectEncodedSeparators:
    """Give a path with an encoded separator, which Starlette would decode, to no route: it is a 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        raw_path: bytes = scope.get("raw_path") or b""
        if has_encoded_separator(raw_path):
            scope["path"] = NO_ROUTE + raw_path.decode("latin-1")
        await self._app(scope, receive, send)
