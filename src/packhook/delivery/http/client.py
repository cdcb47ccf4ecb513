"""Send one request, get one outcome, on the event loop. A failure is a value.

::

    Request ─▶ egress: PinnedUrl | Refused ─▶ pool: a kept connection, or a new one ─▶ connection ─▶ Outcome ─▶ callback
                                                                      │
                                        TCP ─▶ [tunnel through the proxy] ─▶ [TLS] ─▶ HTTP/1.1
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from packhook.core.model import Outcome, Request
from packhook.delivery.http.egress import Egress, PinnedUrl, Refused
from packhook.delivery.http.failure_reasons import CRASHED, STOPPING, FailureReason
from packhook.delivery.http.pool import ConnectionPool, failed
from packhook.delivery.http.tls import TlsSettings

_log: Final = structlog.get_logger("packhook.send")

Callback = Callable[[Outcome], None]
"""Is called with the outcome, once, on the event loop."""


class InFlight(Protocol):
    """Represent a request in flight."""

    def cancel(self) -> object:
        """End it at once, at whatever stage; its callback is not called."""
        ...


class Transport(Protocol):
    """Send requests. A failure is an outcome, never an exception."""

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Send; ``callback`` has the outcome within ``request.timeout`` milliseconds, never before this returns."""
        ...


class HttpClient:
    """Send requests over http and https, many at a time, on the event loop that ``open`` was called in.

    ``ca_bundle``: a PEM file of authorities trusted besides the system's. ``max_connections``: open at once, idle ones
    included; requests beyond wait, and their time runs.
    """

    def __init__(self, egress: Egress, *, ca_bundle: Path | None = None, max_connections: int = 1024) -> None:
        self._egress = egress
        self._ca_bundle = ca_bundle
        self._max_connections = max_connections
        self._is_open = False

    async def open(self) -> None:
        """Make what belongs to this event loop. InvalidSettings where the operator's bundle is none."""
        self._loop = asyncio.get_running_loop()
        self._pool = ConnectionPool(self._egress, TlsSettings(self._ca_bundle), self._max_connections)
        self._is_open = True

    async def close(self) -> None:
        """Close every connection. Requests still in flight end at once, as internal errors."""
        self._is_open = False
        await self._egress.close()
        self._pool.close()

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Send; ``callback`` has the outcome within ``request.timeout`` milliseconds, never before this returns."""
        began = time.monotonic()
        try:
            where = self._egress.check_cached(request.url)
            if isinstance(where, PinnedUrl) and self._is_open:
                return self._pool.start(where, request, callback, began)
        except Exception:  # noqa: BLE001 a failure is a value, ours too
            _log.exception("send_failed")
            return self._loop.call_soon(callback, failed(CRASHED, began))
        return self._loop.create_task(self._look_up_and_send(where, request, callback, began))

    @property
    def connection_count(self) -> int:
        """Return how many connections to receivers are open, in use or kept."""
        return self._pool.connection_count if self._is_open else 0

    async def send(self, request: Request) -> Outcome:
        """Send and wait for the outcome; only cancellation raises, and ends the exchange at once."""
        return await await_outcome(lambda callback: self.post(request, callback))

    async def _look_up_and_send(
        self, where: PinnedUrl | Refused | None, request: Request, callback: Callback, began: float
    ) -> None:
        callback(await self._checked_outcome(where, request, began))

    async def _checked_outcome(self, where: PinnedUrl | Refused | None, request: Request, began: float) -> Outcome:
        try:
            where = where or await self._egress.check(request.url, request.timeout, request.organization_id)
            if isinstance(where, Refused):
                return failed(FailureReason(where.failure, where.detail), began)
            if not self._is_open:
                return failed(STOPPING, began)
            pinned = where
            return await await_outcome(lambda callback: self._pool.start(pinned, request, callback, began))
        except asyncio.CancelledError:
            if _is_cancelled_by_caller():
                raise
            return failed(STOPPING, began)
        except Exception:  # noqa: BLE001 a failure is a value, ours too
            _log.exception("send_failed")
            return failed(CRASHED, began)


async def await_outcome(begin: Callable[[Callback], InFlight]) -> Outcome:
    """Begin to send, and wait for the outcome; only cancellation raises, and ends the exchange at once."""
    end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    in_flight = begin(lambda outcome: None if end.done() else end.set_result(outcome))
    try:
        return await end
    except asyncio.CancelledError:
        in_flight.cancel()
        raise


def _is_cancelled_by_caller() -> bool:
    """Return whether this very task is cancelled, not merely the look-up that it waits for (as ``close`` does)."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
