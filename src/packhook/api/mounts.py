"""Put applications for people beside the API: each has everything below one path."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

Mounts = Mapping[str, ASGIApp]
"""Applications by the first segment of their paths, such as ``/dashboard``."""


class Mounted:
    """Give a request to the application of its path, and any other to the API (ASGI middleware)."""

    def __init__(self, api: ASGIApp, mounts: Mounts) -> None:
        self._api = api
        self._mounts = mounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        first = "/" + scope["path"].removeprefix("/").partition("/")[0] if scope["type"] == "http" else ""
        await self._mounts.get(first, self._api)(scope, receive, send)
