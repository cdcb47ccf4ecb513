"""Send requests over kept connections, or new ones, by calls of the event loop alone: no task for each request.

::

    start ─┬─ a kept connection that is clean ──────────────┐
           ├─ room for one more ─▶ open, address by address ─┴─▶ connection.py ─▶ finish ─▶ callback
           └─ neither ─▶ wait in the queue, while the time runs

A connection belongs to one scheme, host, port, set of checked addresses and client certificate: a name that moves gets
new ones at once. Each is judged when it is opened, is closed when it was idle for a minute, and is not used when it is
five minutes old.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from packhook.core.connection_steps import Resolved, Unreached
from packhook.core.fairness import FairShare
from packhook.core.model import NUL, FailureKind, Outcome, Request
from packhook.delivery.fair_queue import Turns
from packhook.delivery.http import failure_reasons as reasons
from packhook.delivery.http import tls_reasons
from packhook.delivery.http.connection import Exchange, HttpConnection, elapsed
from packhook.delivery.http.egress import Egress, PinnedUrl
from packhook.delivery.http.failure_reasons import FailureReason
from packhook.delivery.http.stream import Poller
from packhook.delivery.http.tls import TlsSettings
from packhook.delivery.http.tunnel import Tunnel

TICK_SECONDS: Final = 0.05
SWEEP_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 300
UNIT_BYTES: Final = 1_024
"""How many bytes of a response are another unit of work: secrets are looked for in it."""
_log: Final = structlog.get_logger("packhook.send")


class ConnectionPool:
    """Send requests over at most ``max_connections``, idle ones included; ``egress`` judges each socket again."""

    def __init__(self, egress: Egress, tls: TlsSettings, max_connections: int) -> None:
        self._egress = egress
        self._max = max_connections
        self._loop = asyncio.get_running_loop()
        self._idle: dict[tuple[object, ...], list[HttpConnection]] = {}
        self._idle_of: dict[str, dict[HttpConnection, None]] = {}
        self._idle_share = FairShare(max_connections, "")
        self._connections: dict[HttpConnection, None] = {}
        self._waiting: dict[Exchange, None] = {}
        self._in_flight: dict[Exchange, HttpConnection | None] = {}
        self._finished: dict[Exchange, Outcome] = {}
        self._turns = Turns()
        self._is_serving = False
        self._tick_timer: asyncio.TimerHandle | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self.tls = tls
        self.poller = Poller(self._loop)

    @property
    def connection_count(self) -> int:
        """Return how many connections are open, in use or kept."""
        return len(self._connections)

    def start(self, where: PinnedUrl, request: Request, callback: Callable[[Outcome], None], began: float) -> Exchange:
        """Send; ``callback`` has the outcome within ``request.timeout`` of ``began``, never before this returns."""
        exchange = Exchange(where, request, callback, began, self.cancel)
        self._in_flight[exchange] = None
        if self._tick_timer is None:
            self._tick_timer = self._loop.call_later(TICK_SECONDS, self._tick)
        if NUL in request.headers:
            self._loop.call_soon(self._fail, exchange, reasons.BAD_HEADER)
            return exchange
        if exchange.route.is_single_use:
            is_literal, is_proxied = where.endpoint.address is not None, bool(where.proxy_addresses)
            exchange.report(Resolved(addresses=where.addresses, is_literal=is_literal, is_proxied=is_proxied))
            self._loop.call_soon(self._begin_over_new, exchange)
        elif not self._begin_over_kept(exchange):
            self._loop.call_soon(self._begin_over_new, exchange)
        return exchange

    def cancel(self, exchange: Exchange) -> None:
        """End this at once; its callback is not called."""
        if exchange in self._in_flight:
            self._release(exchange)
            del self._in_flight[exchange]
            self._loop.call_soon(self._serve_waiting)
        self._finished.pop(exchange, None)

    def close(self) -> None:
        """Close every connection; requests in flight end as an outcome."""
        self._waiting.clear()
        for exchange in list(self._in_flight):
            self._fail(exchange, reasons.STOPPING)
        for exchange in list(self._finished):
            self._call_back(exchange)
        for connection in list(self._connections):
            self._discard(connection)
        for timer in (self._tick_timer, self._sweep_timer):
            if timer is not None:
                timer.cancel()
        self.poller.close()

    # --- events of connections

    def keep(self, connection: HttpConnection) -> None:
        """Give a free connection to the first waiting request, or keep it for later."""
        if self._waiting or connection.idle_since - connection.since > LIFETIME_SECONDS:
            self._give_away(connection)
            return
        organization_id = connection.organization_id
        while not self._idle_share.try_acquire(organization_id):
            self._discard_oldest_idle(organization_id)
        self._idle_of.setdefault(organization_id, {})[connection] = None
        self._idle.setdefault(connection.route.key, []).append(connection)
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def drop(self, connection: HttpConnection) -> None:
        """Forget a closed connection; there is room for another."""
        if self._forget(connection):
            self._serve_waiting()

    def finish(self, exchange: Exchange, outcome: Outcome) -> None:
        """Call back, unless it was cancelled: in turn, for what follows takes as long as the response is large."""
        if exchange not in self._in_flight:
            return
        del self._in_flight[exchange]
        units = 1 + (len(outcome.body) + sum([len(value) for _, value in outcome.headers])) // UNIT_BYTES
        self._finished[exchange] = outcome
        if self._turns.try_take(units):
            self._call_back(exchange)
        else:
            self._turns.add(exchange.organization_id, units, partial(self._call_back, exchange))

    def _call_back(self, exchange: Exchange) -> bool:
        """Call back. Return False if it was cancelled while it waited for its turn."""
        outcome = self._finished.pop(exchange, None)
        if outcome is None:
            return False
        try:
            exchange.callback(outcome)
        except Exception:  # noqa: BLE001 a fault in a callback may not harm other requests
            _log.exception("attempt_callback_failed")
        return True

    def retry_on_new_connection(self, exchange: Exchange) -> None:
        """Send it over a new connection, whatever is kept."""
        if exchange in self._in_flight:
            self._begin_over_new(exchange)

    def connect_failed(self, connection: HttpConnection, error: int) -> None:
        """Try the next address."""
        self._try_next_address(connection, self._connect_reason(error))

    def open_failed(self, connection: HttpConnection, reason: FailureReason, *, elsewhere: bool = False) -> None:
        """Fail the request, or have the proxy try the endpoint's next address."""
        exchange = connection.exchange
        if exchange is None:
            return
        if elsewhere and len(exchange.targets) > 1:
            self._discard(connection)
            exchange.report(Unreached(address=exchange.targets[0], reason=reason.detail))
            exchange.targets = exchange.targets[1:]
            exchange.addresses = exchange.route.where.proxy_addresses
            self._connect(exchange)
        else:
            self._fail(exchange, reason)

    def certificate_rejected(self, connection: HttpConnection, error: ssl.SSLCertVerificationError) -> None:
        """Connect once more, without sending anything, to tell what the certificate says."""
        exchange = connection.exchange
        if exchange is not None:
            self._discard(connection)
            exchange.rejected = error
            self._connect(exchange)

    def crashed(self, connection: HttpConnection) -> None:
        """Fail what went over it; the log has the exception."""
        exchange = connection.exchange
        if exchange is not None:
            self._fail(exchange, reasons.CRASHED)
        else:
            connection.close()
            self.drop(connection)

    # --- steps of a request

    def _begin_over_kept(self, exchange: Exchange) -> bool:
        idle = self._idle.get(exchange.route.key)
        while idle:
            connection = idle.pop()
            if not idle:
                del self._idle[exchange.route.key]
            self._end_idle(connection)
            if self._is_fresh(connection) and connection.begin(exchange):
                self._in_flight[exchange] = connection
                return True
            self._discard(connection)
        return False

    def _begin_over_new(self, exchange: Exchange) -> None:
        if exchange not in self._in_flight:
            return  # cancelled
        self._in_flight[exchange] = None
        if len(self._connections) >= self._max and not self._close_one_idle():
            self._waiting[exchange] = None
            return
        self._connect(exchange)

    def _connect(self, exchange: Exchange) -> None:
        """Open a connection to the next address that may be connected to."""
        reason = reasons.BLOCKED if exchange.addresses else reasons.NO_ADDRESS
        try:
            while exchange.addresses:
                address = exchange.addresses[0]
                failure = self._open(exchange, address)
                if failure is None:
                    return
                reason = failure
                self._report_unreached(exchange, reason)
                exchange.addresses = exchange.addresses[1:]
        except Exception:  # noqa: BLE001 a failure is a value, ours too
            _log.exception("send_failed")
            reason = reasons.CRASHED
        self._fail(exchange, reason)

    def _open(self, exchange: Exchange, address: str) -> FailureReason | None:
        """Begin to connect to this address; return why not, if not."""
        proxy, endpoint = self._egress.proxy, exchange.route.where.endpoint
        if proxy is not None and not exchange.targets:
            return reasons.NO_ADDRESS  # better no request than a name that the proxy resolves
        port = endpoint.port if proxy is None else proxy.port
        if not self._egress.may_open(address, port):
            return reasons.BLOCKED
        try:
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            return self._connect_reason(error.errno)
        tunnel = None if proxy is None else Tunnel(proxy, exchange.targets[0], endpoint.port)
        connection = HttpConnection(self, opened, exchange, tunnel)
        self._connections[connection] = None
        self._in_flight[exchange] = connection
        now = time.monotonic()
        exchange.connect_until = now + (exchange.until - now) / len(exchange.addresses)
        error_number = connection.connect(address, port)
        if error_number:
            self._in_flight[exchange] = None
            self._discard(connection)
            if error_number == errno.EADDRNOTAVAIL and opened.family == socket.AF_INET:
                return reasons.NO_PORT
            return self._connect_reason(error_number)
        return None

    def _try_next_address(self, connection: HttpConnection, reason: FailureReason) -> None:
        exchange = connection.exchange
        if exchange is None:
            return
        self._discard(connection)
        self._report_unreached(exchange, reason)
        exchange.addresses = exchange.addresses[1:]
        if exchange.addresses:
            self._connect(exchange)
        else:
            self._fail(exchange, reason)

    def _report_unreached(self, exchange: Exchange, reason: FailureReason) -> None:
        """Report an address of the endpoint; those of the operator's proxy concern the operator alone."""
        if self._egress.proxy is None:
            exchange.report(Unreached(address=exchange.addresses[0], reason=reason.detail))

    def _connect_reason(self, error: int | None) -> FailureReason:
        if self._egress.proxy is None:
            return reasons.connect_reason(error)
        return reasons.proxy_connect_reason(error)

    def _fail(self, exchange: Exchange, reason: FailureReason) -> None:
        if exchange not in self._in_flight:
            return
        if exchange.rejected is not None and reason.kind is not FailureKind.INTERNAL:
            reason = tls_reasons.certificate_reason(exchange.rejected, ())
        self._release(exchange)
        self.finish(exchange, failed(reason, exchange.began))
        self._serve_waiting()

    def _release(self, exchange: Exchange) -> None:
        """Close its connection, and remove it from the queue."""
        self._waiting.pop(exchange, None)
        connection, self._in_flight[exchange] = self._in_flight[exchange], None
        if connection is not None:
            self._discard(connection)

    # --- room

    def _discard(self, connection: HttpConnection) -> None:
        connection.close()
        self._forget(connection)

    def _forget(self, connection: HttpConnection) -> bool:
        if connection not in self._connections:
            return False
        del self._connections[connection]
        key = connection.route.key
        idle = self._idle.get(key)
        if idle is not None and connection in idle:
            idle.remove(connection)
            if not idle:
                del self._idle[key]
            self._end_idle(connection)
        return True

    def _end_idle(self, connection: HttpConnection) -> None:
        """Return its unit of the idle connections."""
        organization_id = connection.organization_id
        self._idle_share.release(organization_id)
        own = self._idle_of[organization_id]
        del own[connection]
        if not own:
            del self._idle_of[organization_id]

    def _discard_oldest_idle(self, organization_id: str) -> None:
        self._discard(next(iter(self._idle_of[organization_id])))

    @staticmethod
    def _is_fresh(connection: HttpConnection) -> bool:
        now = time.monotonic()
        return now - connection.idle_since < IDLE_SECONDS and now - connection.since < LIFETIME_SECONDS

    def _close_one_idle(self) -> bool:
        """Make room: close the oldest idle connection of the organization with the most."""
        organization_id = self._idle_share.largest()
        if organization_id is None:
            return False
        self._discard_oldest_idle(organization_id)
        return True

    def _give_away(self, connection: HttpConnection) -> None:
        """Give it to the first waiting request if that can use it; otherwise close it, which frees a slot."""
        first = next(iter(self._waiting), None)
        is_young = connection.idle_since - connection.since <= LIFETIME_SECONDS
        if first is not None and is_young and first.route.key == connection.route.key and connection.begin(first):
            del self._waiting[first]
            self._in_flight[first] = connection
            return
        self._discard(connection)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        if self._is_serving:
            return  # a request that fails at once brings us here again
        self._is_serving = True
        try:
            while self._waiting and len(self._connections) < self._max:
                first = next(iter(self._waiting))
                del self._waiting[first]
                self._begin_over_new(first)
        finally:
            self._is_serving = False

    # --- time

    def _tick(self) -> None:
        self._tick_timer = None
        now = time.monotonic()
        for exchange in [exchange for exchange in self._in_flight if exchange.connect_until <= now]:
            connection = self._in_flight.get(exchange)
            if exchange.until > now:
                if connection is not None and connection.is_connecting:
                    self._try_next_address(connection, connection.timeout_reason())
            elif connection is None:
                self._fail(exchange, reasons.NO_CONNECTION)
            elif not connection.time_out():
                self._fail(exchange, connection.timeout_reason())
        if self._in_flight and self._tick_timer is None:
            self._tick_timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _sweep(self) -> None:
        """Close what was idle for too long."""
        self._sweep_timer = None
        oldest = time.monotonic() - IDLE_SECONDS
        idle = [connection for kept in self._idle.values() for connection in kept]
        for connection in idle:
            if connection.idle_since < oldest:
                self._discard(connection)
        if self._idle:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)


def failed(reason: FailureReason, began: float) -> Outcome:
    """Return the outcome of a request without a response; ``began``: monotonic seconds."""
    return Outcome(failure=reason.kind, detail=reason.detail, duration=elapsed(began))
