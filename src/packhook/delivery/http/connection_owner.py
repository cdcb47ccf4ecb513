"""Say what a connection requires of its owner, the pool."""

import ssl
from typing import TYPE_CHECKING, Protocol

from packhook.core.model import Outcome
from packhook.delivery.http.failure_reasons import FailureReason
from packhook.delivery.http.stream import Poller
from packhook.delivery.http.tls import TlsSettings

if TYPE_CHECKING:  # connection.py imports this module
    from packhook.delivery.http.connection import Exchange, HttpConnection


class ConnectionOwner(Protocol):
    """Own connections, and decide what becomes of requests."""

    poller: Poller
    tls: TlsSettings

    def keep(self, connection: "HttpConnection") -> None:
        """Take a connection that can be used again."""
        ...

    def drop(self, connection: "HttpConnection") -> None:
        """Forget a closed connection."""
        ...

    def finish(self, exchange: "Exchange", outcome: Outcome) -> None:
        """Report an outcome; after it is decided what becomes of the connection."""
        ...

    def retry_on_new_connection(self, exchange: "Exchange") -> None:
        """Send this again: its kept connection was dead, or had bytes that no request asked for."""
        ...

    def connect_failed(self, connection: "HttpConnection", error: int) -> None:
        """Handle a failure to connect; ``error``: the system's error number."""
        ...

    def open_failed(self, connection: "HttpConnection", reason: FailureReason, *, elsewhere: bool = False) -> None:
        """Handle a failure to open the connection; ``elsewhere``: the proxy may reach another address."""
        ...

    def certificate_rejected(self, connection: "HttpConnection", error: ssl.SSLCertVerificationError) -> None:
        """Find out what the endpoint's certificate says."""
        ...

    def crashed(self, connection: "HttpConnection") -> None:
        """End what went over a connection in which an exception was raised."""
        ...
