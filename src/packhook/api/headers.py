"""The headers that every answer carries, and the id that every request gets."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhook.core.ids import request_id

POLICY: Final = b"content-security-policy"
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_PAGE: Final = (POLICY, b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
"""The policy of every response that is not a page: load nothing. A page sends a policy of its own."""
SECURITY_HEADERS: Final = (*ALWAYS, NO_PAGE)
"""The security headers of a response that is not a page."""


class Headers:
    """Gives each request an id, and each answer that id and the headers that make it safe to show."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = scope["packhook.request_id"] = scope.get("packhook.request_id") or request_id()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = message.get("headers", [])
                policy = () if any(name == POLICY for name, _ in said) else (NO_PAGE,)
                message["headers"] = [*said, (b"x-request-id", own.encode()), *ALWAYS, *policy]
            await send(message)

        await self._app(scope, receive, send_with_headers)
