"""Let a few requests begin in each turn of the event loop, organizations in turn.

Without a bound, the requests of one client with many connections are all in each turn, and a request of another, which
takes a few turns, waits for all of them each time.
"""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.forwarded import source_in
from packhook.api.requests import SMALL_BODY, bearer
from packhook.api.route import BASE, ORGANIZATION
from packhook.core.errors import Unauthorized
from packhook.delivery.fair_queue import Turns
from packhook.service.authentication import Access
from packhook.settings import Settings

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]

REQUEST_UNITS: Final = 4
"""What a request is; a small publish is one unit."""
UNIT_BYTES: Final = 4_096
"""How many bytes of a published body are another unit."""


class RequestsInTurn:
    """Let each request wait for its turn before the application sees it."""

    def __init__(self, app: ASGIApp, turns: Turns, access: Access, settings: Settings) -> None:
        self._app = app
        self._turns = turns
        self._access = access
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] == "http":
            await self._turns.take(self._client_of(scope), units_of(scope))
        await self._app(scope, receive, send)

    def _client_of(self, scope: Scope) -> str:
        """Return the organization that asks, or the address of a client whose key is not known to be valid.

        The operator asks for the organization in the path.
        """
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        try:
            known = self._access.organization_of(bearer(authorization.decode("latin-1")))
        except Unauthorized:
            known = None
        if known is None:
            return source_in(scope, self._settings.trusted_proxies)
        return known or _organization_in(scope["path"])


def units_of(scope: Scope) -> int:
    """Return what a request is by its announced body: that is decoded and checked at one go, however large it is."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return REQUEST_UNITS + min(int(value), SMALL_BODY) // UNIT_BYTES
        if name == b"transfer-encoding":
            return REQUEST_UNITS + SMALL_BODY // UNIT_BYTES
    return REQUEST_UNITS


def _organization_in(path: str) -> str:
    return path.removeprefix(_PREFIX).partition("/")[0] if path.startswith(_PREFIX) else ""
