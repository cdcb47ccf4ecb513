"""Hold a request in flight and its route: the state that the pool and a connection share."""

import ssl
from collections.abc import Callable
from typing import Final

from packhook.core.clock import SECOND
from packhook.core.model import ClientCertificate, Outcome, Request
from packhook.delivery.http.egress import PinnedUrl

HTTPS: Final = "https"


class RequestRoute:
    """Say where a request goes. Connections whose ``key`` is equal carry each other's requests.

    ``host``: for SNI and the certificate. ``certificate``: to show where the endpoint asks for one.
    """

    __slots__ = ("certificate", "host", "is_tls", "key", "where")

    def __init__(self, where: PinnedUrl, certificate: ClientCertificate | None) -> None:
        endpoint = where.endpoint
        self.where = where
        self.host = endpoint.host
        self.is_tls = endpoint.scheme == HTTPS
        self.certificate = certificate if self.is_tls else None
        self.key: tuple[object, ...] = (
            self.is_tls, endpoint.host, endpoint.port, where.addresses, where.proxy_addresses, self.certificate,
        )  # fmt: skip


class Exchange:
    """Track one request from its start to its callback. Times are monotonic seconds.

    ``addresses``: those still to try for the socket. ``targets``: those still to try through the proxy, () without one.
    ``rejected``: why the endpoint's certificate was refused; then a connection is opened only to see that certificate.
    """

    __slots__ = (
        "_cancel", "addresses", "began", "body", "callback", "connect_until", "head", "rejected", "route", "targets",
        "until",
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
        self.route = RequestRoute(where, request.client_certificate)
        self.head = (
            f"{request.method} {endpoint.target} HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
            f"{request.headers}content-length: {len(request.body)}\r\n\r\n"
        ).encode()
        self.body = request.body
        self.callback = callback
        self.began = began
        self.until = self.connect_until = began + request.timeout / SECOND
        self.addresses = where.proxy_addresses or where.addresses
        self.targets = where.addresses if where.proxy_addresses else ()
        self.rejected: ssl.SSLCertVerificationError | None = None
        self._cancel = cancel

    def cancel(self) -> None:
        """End it at once, at whatever stage; the callback is not called."""
        self._cancel(self)
