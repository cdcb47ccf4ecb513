"""The dashboard as an ASGI application: its pages, its static files, its sessions, its errors as pages.

It is built when the first request comes, in a thread: a node that shows no page pays nothing for it.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.mounts import Mounts
from packhook.service.service import Service
from packhook.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

DASHBOARD: Final = "/dashboard"
PORTAL: Final = "/portal"
OPEN: Final = "/open"
"""Where a link that works once is opened, below the path of its site."""


def mounts(service: Service, settings: Settings) -> Mounts:
    """Return the applications for people, by path."""

    def dashboard() -> ASGIApp:
        from packhook.web.site import Site  # noqa: PLC0415 Jinja2 and the templates, which only pages need
        from packhook.web.visitors import OperatorOnly  # noqa: PLC0415 as above

        return Site(service, settings, DASHBOARD, OperatorOnly(service, settings))

    def portal() -> ASGIApp:
        from packhook.web.site import Site  # noqa: PLC0415 as above
        from packhook.web.visitors import PortalVisitors  # noqa: PLC0415 as above

        return Site(service, settings, PORTAL, PortalVisitors(service, settings))

    return {DASHBOARD: BuiltAtFirstRequest(dashboard), PORTAL: BuiltAtFirstRequest(portal)}


def sign_in_address(service: Service, origin: str) -> str:
    """Return the address of a new link that signs in to the dashboard once, on this node, which ``origin`` reaches."""
    return f"{origin}{DASHBOARD}{OPEN}?token={service.sign_in_link.create()}"


class BuiltAtFirstRequest:
    """Build an application in a thread when the first request comes."""

    def __init__(self, build: "Callable[[], ASGIApp]") -> None:
        self._build = build
        self._app: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        app = self._app or await self._built()
        await app(scope, receive, send)

    async def _built(self) -> ASGIApp:
        async with self._lock:
            if self._app is None:
                self._app = await asyncio.to_thread(self._build)
            return self._app
