"""The headers that every answer carries, and the id that every request gets."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhook.core.ids import request_id

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


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
                message["headers"] = [*message.get("headers", []), (b"x-request-id", own.encode()), *ALWAYS]
            await send(message)

        await self._app(scope, receive, send_with_headers)
