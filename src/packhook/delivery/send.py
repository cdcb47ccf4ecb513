"""One request out, one outcome back, on the event loop. Trouble on the wire is a value.

::

    Request ─▶ where (egress: Checked | Refused) ─┬─ http ──▶ plain.py ──▶ connection.py, answer.py ─┐
                                                  └─ https ─▶ libcurl.py ─▶ curl.py, multi.py ───────┴─▶ Outcome ─▶ told

Both keep connections, hold them to the address that was checked, and take the same of an answer.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from packhook.core.model import Outcome, Request
from packhook.delivery.causes import BROKE, STOPPING, failed
from packhook.delivery.egress import Checked, Egress, Refused
from packhook.delivery.libcurl import Curl
from packhook.delivery.plain import PlainPool

_log: Final = structlog.get_logger("packhook.send")

Callback = Callable[[Outcome], None]
"""Hears of the outcome, once, on the event loop."""


class Sending(Protocol):
    """A request that is under way."""

    def cancel(self) -> object:
        """End it at once, wherever it stands; nothing is told."""
        ...


class Wire(Protocol):
    """What sends: one request out, one outcome back. Trouble on the wire is an outcome, never an exception."""

    def post(self, request: Request, told: Callback) -> Sending:
        """Send; ``told`` has the outcome within ``request.timeout`` milliseconds, never before this returns."""
        ...


class Sender:
    """Sends requests, many at a time, on the event loop that ``open`` was called in.

    ``ca_bundle``: a PEM file of authorities trusted besides the system's. ``max_connections``: open at once by each way
    of sending, idle ones included; requests beyond wait, and their time runs. ``only_libcurl``: plain HTTP goes that
    way too.
    """

    def __init__(
        self, egress: Egress, *, ca_bundle: Path | None = None, max_connections: int = 1024, only_libcurl: bool = False
    ) -> None:
        self._egress = egress
        self._ca_bundle = ca_bundle
        self._max_connections = max_connections
        self._only_libcurl = only_libcurl
        self._is_open = False

    async def open(self) -> None:
        """Make what belongs to this event loop. InvalidSettings where the operator's bundle is none."""
        self._loop = asyncio.get_running_loop()
        self._curl = Curl(self._egress, self._ca_bundle, self._max_connections)
        self._plain = PlainPool(self._egress.may_open, self._max_connections)
        self._is_open = True

    async def close(self) -> None:
        """Close every connection. Requests still under way end at once, as internal errors."""
        self._is_open = False
        await self._egress.close()
        await self._plain.close()
        await self._curl.close()

    def post(self, request: Request, told: Callback) -> Sending:
        """Send; ``told`` has the outcome within ``request.timeout`` milliseconds, never before this returns."""
        began = time.monotonic()
        try:
            where = self._egress.known(request.url)
            if isinstance(where, Checked) and self._is_open:
                return self._way(where).post(where, request, told, began)
        except Exception:  # noqa: BLE001 trouble is a value, ours too
            _log.exception("send_failed")
            return self._loop.call_soon(told, failed(BROKE, began))
        return self._loop.create_task(self._tell(where, request, told, began))

    async def send(self, request: Request) -> Outcome:
        """As :meth:`post`, for whoever waits; only cancellation passes, and ends the exchange at once."""
        return await outcome_of(lambda told: self.post(request, told))

    def _way(self, where: Checked) -> PlainPool | Curl:
        if where.url.startswith("http:") and self._egress.proxy is None and not self._only_libcurl:
            return self._plain
        return self._curl

    async def _tell(self, where: Checked | Refused | None, request: Request, told: Callback, began: float) -> None:
        told(await self._send(where, request, began))

    async def _send(self, where: Checked | Refused | None, request: Request, began: float) -> Outcome:
        """With a task of its own: after a look-up."""
        try:
            where = where or await self._egress.check(request.url, request.timeout)
            if isinstance(where, Refused):
                return failed((where.trouble, where.detail), began)
            if not self._is_open:
                return failed(STOPPING, began)
            checked = where
            return await outcome_of(lambda told: self._way(checked).post(checked, request, told, began))
        except asyncio.CancelledError:
            if _cancelled_by_caller():
                raise
            return failed(STOPPING, began)
        except Exception:  # noqa: BLE001 trouble is a value, ours too
            _log.exception("send_failed")
            return failed(BROKE, began)


async def outcome_of(begin: Callable[[Callback], Sending]) -> Outcome:
    """Begin to send, and wait; only cancellation passes, and ends the exchange at once."""
    end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    under_way = begin(lambda outcome: None if end.done() else end.set_result(outcome))
    try:
        return await end
    except asyncio.CancelledError:
        under_way.cancel()
        raise


def _cancelled_by_caller() -> bool:
    """Whether it is this task that is cancelled, not merely its transfer (as ``close`` does)."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
