"""Make one connection, then exchange requests and responses over it, one after another.

::

    connect ─▶ [tunnel through the proxy] ─▶ [TLS handshake] ─▶ ready ─▶ request out ─▶ response ─▶ kept, or closed
       └───────────────┴──────────────────────────┴──▶ open_failed (pool)

A kept connection is checked before a request goes out, and when its first byte comes back. Bytes that were under way
before the request can have arrived belong to no request: the connection is closed, and the request goes out over a new
one. So does one whose kept connection turns out to be dead before a byte of the response came.
"""

import ssl
import time
from collections.abc import Callable
from enum import Enum, auto
from socket import socket
from typing import Final

from packhook.core.clock import SECOND
from packhook.core.connection_steps import ConnectionStep, Reached, TlsAgreed
from packhook.core.model import Outcome, Request
from packhook.delivery.http import failure_reasons as reasons
from packhook.delivery.http import tls_reasons
from packhook.delivery.http.connection_owner import ConnectionOwner
from packhook.delivery.http.egress import PinnedUrl, RequestRoute
from packhook.delivery.http.failure_reasons import FailureReason
from packhook.delivery.http.response_parser import ResponseParser
from packhook.delivery.http.stream import TcpInfo, TcpStream, is_readable, read_tcp_info
from packhook.delivery.http.tls import PIECE, TlsLayer
from packhook.delivery.http.tunnel import Tunnel

JOINED_BODY: Final = 64 * 1024
"""Bytes up to which a body is copied behind its head, to be sent by one call."""


class Exchange:
    """Track one request from its start to its callback. Times are monotonic seconds.

    ``addresses``: those still to try for the socket. ``targets``: those still to try through the proxy, () without one.
    ``rejected``: why the endpoint's certificate was refused; then a connection is opened only to see that certificate.
    """

    __slots__ = (
        "_cancel", "_observe", "addresses", "began", "body", "callback", "connect_until", "head", "organization_id",
        "rejected", "route", "targets", "until",
    )  # fmt: skip

    def __init__(
        self,
        where: PinnedUrl,
        request: Request,
        callback: Callable[[Outcome], None],
        began: float,
        cancel: Callable[["Exchange"], None],
    ) -> None:
        endpoint = where.endpoint
        self.route = RequestRoute(where, request.client_certificate, is_single_use=request.observe is not None)
        self.head = (
            f"{request.method} {endpoint.target} HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
            f"{request.headers}content-length: {len(request.body)}\r\n\r\n"
        ).encode()
        self.body = request.body
        self.organization_id = request.organization_id
        self.callback = callback
        self.began = began
        self.until = self.connect_until = began + request.timeout / SECOND
        self.addresses = where.proxy_addresses or where.addresses
        self.targets = where.addresses if where.proxy_addresses else ()
        self.rejected: ssl.SSLCertVerificationError | None = None
        self._cancel = cancel
        self._observe = request.observe

    def report(self, step: ConnectionStep) -> None:
        """Report a step, if the request is observed."""
        if self._observe is not None:
            self._observe(step)

    def cancel(self) -> None:
        """End it at once, at whatever stage; the callback is not called."""
        self._cancel(self)


class _Stage(Enum):
    CONNECTING = auto()
    TUNNELING = auto()
    HANDSHAKING = auto()
    READY = auto()
    CLOSED = auto()


class HttpConnection:
    """Run the exchanges of one connection, one at a time.

    ``exchange``: the present one; ``organization_id``: that of the last. ``since``, ``idle_since``: monotonic seconds.
    """

    __slots__ = (
        "_before", "_is_used", "_parser", "_pool", "_stage", "_stream", "_tls", "_tls_ended", "_tunnel", "exchange",
        "idle_since", "organization_id", "route", "since",
    )  # fmt: skip

    def __init__(self, pool: ConnectionOwner, opened: socket, exchange: Exchange, tunnel: Tunnel | None) -> None:
        self.route = exchange.route
        self.since = self.idle_since = time.monotonic()
        self._pool = pool
        self.exchange: Exchange | None = exchange
        self.organization_id = exchange.organization_id
        self._tunnel = tunnel
        self._tls: TlsLayer | None = None
        self._tls_ended = self._is_used = False
        self._parser = ResponseParser()
        self._before: TcpInfo | None = None
        self._stage = _Stage.CONNECTING
        self._stream = TcpStream(pool.poller, opened, self)

    # --- for the pool

    def connect(self, address: str, port: int) -> int:
        """Begin to connect; return 0, or the error number of a failure at once."""
        return self._stream.connect(address, port)

    def begin(self, exchange: Exchange) -> bool:
        """Send this over the kept connection; False where it was closed or has unsolicited bytes."""
        self._before = read_tcp_info(self._stream.socket)
        if not self._is_clean(self._before):
            return False
        try:
            self._send(exchange)
        except ssl.SSLError:
            return False
        self.exchange, self.organization_id = exchange, exchange.organization_id
        return True

    def close(self) -> None:
        """Close it at once, without a call to its owner."""
        stage, self._stage = self._stage, _Stage.CLOSED
        self.exchange = None
        tls, self._tls = self._tls, None
        if tls is not None and stage is _Stage.READY and self._is_used:
            if self.route.certificate is None and not self.route.is_single_use:
                self._pool.tls.keep_session(self.route.key, tls)
            if not self._stream.has_unsent:
                self._stream.send(tls.end())
        self._stream.close()

    def timeout_reason(self) -> FailureReason:
        """Return what a request waits for that is not ready yet."""
        match self._stage:
            case _Stage.TUNNELING:
                return reasons.TUNNELING
            case _Stage.HANDSHAKING:
                return reasons.HANDSHAKING
        return reasons.PROXY_CONNECTING if self._tunnel is not None else reasons.CONNECTING

    def time_out(self) -> bool:
        """End the exchange, whose time is over; False where the connection is not ready yet."""
        if self._stage is not _Stage.READY:
            return False
        if self._parser.has_begun:
            self._end(reasons.READING)
        else:
            self._end(reasons.SENDING if self._stream.has_unsent else reasons.WAITING)
        return True

    @property
    def is_connecting(self) -> bool:
        """Return whether there is no TCP connection yet."""
        return self._stage is _Stage.CONNECTING

    # --- events of the stream

    def connected(self, error: int) -> None:
        """Start the tunnel, or TLS."""
        if error:
            self._pool.connect_failed(self, error)
        elif self._tunnel is not None:
            self._stage = _Stage.TUNNELING
            self._stream.send(self._tunnel.request)
        else:
            self._begin_tls()

    def received(self, data: bytes) -> None:
        """Give data to the layer that waits for it."""
        if self._stage is _Stage.TUNNELING and self._tunnel is not None:
            self._read_tunnel(self._tunnel, data)
        elif self._tls is None:
            self._take(data)
        else:
            self._tls.take(data)
            if self._stage is _Stage.HANDSHAKING:
                self._handshake(self._tls)
            if self._stage is _Stage.READY:
                self._decrypt()
                if self.exchange is not None and self._stream.has_unsent:
                    self._stream.acknowledge_at_once()

    def lost(self, error: OSError | None) -> None:
        """Decide what the end of the connection means for its request."""
        exchange, parser = self.exchange, self._parser
        match self._stage:
            case _Stage.TUNNELING:
                self._pool.open_failed(self, reasons.TUNNEL_CLOSED)
            case _Stage.HANDSHAKING:
                self._pool.open_failed(self, tls_reasons.handshake_cut_off_reason(self.route.certificate))
            case _ if exchange is None:
                self._drop()
            case _ if self._is_used and not parser.has_begun:
                self._retry(exchange)
            case _ if parser.ends_with_connection:
                self._end(None)
            case _:
                self._end(self._loss_reason(error))

    def crashed(self) -> None:
        """Report the crash to the owner."""
        self._pool.crashed(self)

    # --- opening

    def _read_tunnel(self, tunnel: Tunnel, data: bytes) -> None:
        rest = tunnel.feed(data)
        if tunnel.failure is not None:
            self._pool.open_failed(self, tunnel.failure, elsewhere=tunnel.is_unreached)
        elif rest is not None:
            self._begin_tls()
            if rest and self._stage is not _Stage.CLOSED:
                self.received(rest)

    def _begin_tls(self) -> None:
        exchange, route = self.exchange, self.route
        if exchange is not None and exchange.rejected is None:
            address = (exchange.targets if self._tunnel is not None else exchange.addresses)[0]
            exchange.report(Reached(address=address, elapsed=elapsed(exchange.began)))
        if not route.is_tls or exchange is None:
            self._become_ready()
            return
        try:
            if exchange.rejected is not None:
                self._tls = self._pool.tls.inspect(route.host)
            else:
                self._tls = self._pool.tls.connect(route.host, route.certificate, route.key)
        except (OSError, ValueError) as error:
            is_ours = not isinstance(error, (ssl.SSLError, ValueError)) and reasons.is_shortage(error.errno)
            self._pool.open_failed(self, reasons.NO_SOCKET if is_ours else tls_reasons.UNUSABLE_CERTIFICATE)
            return
        self._stage = _Stage.HANDSHAKING
        self._handshake(self._tls)

    def _handshake(self, tls: TlsLayer) -> None:
        try:
            is_done = tls.handshake()
        except ssl.SSLCertVerificationError as error:
            self._stream.send(tls.outgoing())  # an alert, so that the endpoint's log says why
            self._pool.certificate_rejected(self, error)
            return
        except ssl.SSLError as error:
            self._stream.send(tls.outgoing())
            self._pool.open_failed(self, tls_reasons.handshake_reason(error, self.route.certificate))
            return
        if not is_done:
            self._stream.send(tls.outgoing())
            return
        exchange = self.exchange
        if exchange is None or (exchange.rejected is None and not self.route.is_single_use):
            self._become_ready()
        else:
            self._show_certificate(tls, exchange)

    def _show_certificate(self, tls: TlsLayer, exchange: Exchange) -> None:
        """Report the handshake; fail the request, or go on with it, as the certificate was judged."""
        rejected, exchange.rejected, chain = exchange.rejected, None, tls.chain()
        shown = tls_reasons.shown(chain)
        exchange.report(
            TlsAgreed(version=tls.version, chain=shown, is_trusted=rejected is None, elapsed=elapsed(exchange.began))
        )
        if rejected is None:
            self._become_ready()
        else:
            self._pool.open_failed(self, tls_reasons.certificate_reason(rejected, chain))

    def _become_ready(self) -> None:
        self._stage = _Stage.READY
        if self.exchange is not None:
            self._send(self.exchange)

    # --- exchanging

    def _is_clean(self, now: TcpInfo | None) -> bool:
        """Return whether all that came was read, no end came, and the last request arrived as a whole."""
        if self._tls is not None and self._tls.has_pending:
            return False
        if now is None:
            return not is_readable(self._stream.socket)
        return now.is_settled and now.received == self._stream.bytes_read

    def _send(self, exchange: Exchange) -> None:
        head, body, tls = exchange.head, exchange.body, self._tls
        if tls is None:
            if len(body) <= JOINED_BODY:
                self._stream.send(head + body)
            else:
                self._stream.send(head, iter((body,)))
        elif len(head) + len(body) <= PIECE:
            self._stream.send(tls.encrypt(head + body))
        else:
            self._stream.send(tls.encrypt(head), tls.encrypt_pieces(body))
            self._stream.acknowledge_at_once()

    def _decrypt(self) -> None:
        try:
            while self._tls is not None and (plaintext := self._tls.decrypt()) is not None:
                if plaintext:
                    self._take(plaintext)
                else:
                    self._tls_ended = True
                    self.lost(None)
                    return
        except ssl.SSLError as error:
            self.lost(error)
            return
        if self._tls is not None and self._tls.has_outgoing and not self._stream.has_unsent:
            self._stream.send(self._tls.outgoing())  # such as the refusal of a renegotiation

    def _take(self, data: bytes) -> None:
        """Take a part of the response, or bytes that no request asked for."""
        exchange, before = self.exchange, self._before
        if exchange is None:
            self._drop()
            return
        if before is not None:
            self._before = None
            now = read_tcp_info(self._stream.socket)
            if now is not None and not now.acked_and_received_since(before):
                self._retry(exchange)
                return
        if self._parser.feed(data):
            self._end(self._parser.failure)

    def _loss_reason(self, error: OSError | None) -> FailureReason:
        if isinstance(error, ssl.SSLError):
            alert = tls_reasons.alert_reason(error, self.route.certificate)
            if alert is not None:
                return alert
        if isinstance(error, ConnectionResetError):
            return reasons.RESET
        if self._parser.has_begun:
            return reasons.CLOSED_EARLY
        if self._stream.has_unsent:
            return reasons.LOST_SENDING
        if self._tls is not None and not self._tls_ended:
            return tls_reasons.cut_off_reason(self.route.certificate)
        return reasons.CLOSED

    def _retry(self, exchange: Exchange) -> None:
        self._drop()
        self._pool.retry_on_new_connection(exchange)

    def _drop(self) -> None:
        self.close()
        self._pool.drop(self)

    def _end(self, reason: FailureReason | None) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            self._drop()
            return
        parser = self._parser
        outcome = parser.outcome(reason, elapsed(exchange.began))
        is_kept = reason is None and parser.is_complete and parser.is_reusable and not self._stream.has_unsent
        is_kept = is_kept and not self.route.is_single_use
        self._is_used = True
        parser.clear()
        if is_kept:
            self.idle_since = time.monotonic()
            self._pool.keep(self)
        else:
            self._drop()
        self._pool.finish(exchange, outcome)


def elapsed(began: float) -> int:
    """Return the milliseconds since ``began`` (monotonic seconds)."""
    return int((time.monotonic() - began) * SECOND)
