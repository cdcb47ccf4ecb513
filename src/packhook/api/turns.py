"""Let a few requests begin in each turn of the event loop, organizations in turn.

A turn of the loop serves everything that is ready. Without a bound, the requests of one client with many connections
are all in each turn, and a request of another, which takes a few turns, waits for all of them each time.
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.forwarded import source_in
from packhook.api.requests import bearer
from packhook.api.route import BASE, ORGANIZATION
from packhook.core.errors import Unauthorized
from packhook.core.fair_queue import WeightedFairQueue
from packhook.service.authentication import Access
from packhook.settings import Settings

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]

TURN_UNITS: Final = 12
"""How much begins in a turn. A unit is about a small publish, 200 µs."""

REQUEST_UNITS: Final = 4
UNIT_BYTES: Final = 4_096
"""How many bytes of a published body are another unit."""


class Turns:
    """Count what begins in this turn of the running event loop, and queue what does not."""

    def __init__(self) -> None:
        self._left = TURN_UNITS
        self._is_counting = False
        self._waiting: WeightedFairQueue[tuple[int, asyncio.Future[None]]] = WeightedFairQueue()

    async def take(self, organization_id: str, units: int) -> None:
        """Return when so much of this organization's work may begin, at once where little else does."""
        if self._left > 0 and not self._waiting:
            self._begin(units)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(organization_id, (units, turn))
        await turn

    def _begin(self, units: int) -> None:
        self._left -= units
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Begin a turn. What begins last may be more than is left; the next turns have less."""
        self._is_counting = False
        self._left = min(TURN_UNITS, self._left + TURN_UNITS)
        while self._waiting and self._left > 0:
            units, turn = self._waiting.peek()
            self._waiting.pop(units)
            if not turn.done():  # else its request was cancelled
                self._begin(units)
                turn.set_result(None)
        if (self._waiting or self._left < TURN_UNITS) and not self._is_counting:
            self._begin(0)


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
            await self._turns.take(self._client_of(scope), REQUEST_UNITS)
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


def _organization_in(path: str) -> str:
    return path.removeprefix(_PREFIX).partition("/")[0] if path.startswith(_PREFIX) else ""
