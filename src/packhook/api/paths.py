"""Request paths: an encoded separator in a segment is never a separator, so no route has one."""

from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.problems import problem_response
from packhook.core.errors import NotFound


def has_encoded_separator(raw_path: bytes) -> bool:
    """Return whether a path, still percent-encoded, has a ``/`` encoded (``%2F``) in one of its segments."""
    return b"%" in raw_path and b"%2f" in raw_path.lower()


class RejectEncodedSeparators:
    """Answer 404 to a path with an encoded separator, which Starlette would decode before it looks for a route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        raw_path: bytes = scope.get("raw_path") or b""
        if has_encoded_separator(raw_path):
            await problem_response(NotFound(f"no route {raw_path.decode('latin-1')}"))(scope, receive, send)
        else:
            await self._app(scope, receive, send)
