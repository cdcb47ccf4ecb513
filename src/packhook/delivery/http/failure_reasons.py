"""Say why a request failed: a kind, and words for the receiver's owner with what to do about it.

The words hold no address and no secret.
"""

import errno
from http import HTTPStatus
from typing import Final, NamedTuple

from packhook.core.model import FailureKind
from packhook.core.retry_policy import named
from packhook.delivery.http.egress import REFUSAL


class FailureReason(NamedTuple):
    """Name a failure: the kind that decides what follows, and the words that are shown."""

    kind: FailureKind
    detail: str


NO_CONNECTION: Final = FailureReason(
    FailureKind.SHORTAGE, "packhook had no connection free in time: it may have too few"
)
NO_SOCKET: Final = FailureReason(FailureKind.SHORTAGE, "packhook has no free socket: raise its limit of open files")
NO_PORT: Final = FailureReason(
    FailureKind.SHORTAGE, "packhook has no free local port: widen the system's range of ephemeral ports"
)
NO_ADDRESS: Final = FailureReason(FailureKind.INTERNAL, "packhook lost the checked address of this request")
STOPPING: Final = FailureReason(FailureKind.INTERNAL, "packhook is stopping")
CRASHED: Final = FailureReason(FailureKind.INTERNAL, "packhook could not send this; its log says why")
BAD_HEADER: Final = FailureReason(FailureKind.INTERNAL, "nothing was sent: a header holds a line break or NUL")
BLOCKED: Final = FailureReason(FailureKind.BLOCKED, REFUSAL)
CONNECTING: Final = FailureReason(
    FailureKind.TIMEOUT,
    "the time ran out while connecting: check that the endpoint is up and no firewall drops the connection",
)
HANDSHAKING: Final = FailureReason(
    FailureKind.TIMEOUT,
    "the time ran out while agreeing on TLS: check that the endpoint speaks TLS on this port",
)
SENDING: Final = FailureReason(
    FailureKind.TIMEOUT, "the time ran out while sending the request: the endpoint does not read it"
)
WAITING: Final = FailureReason(
    FailureKind.TIMEOUT,
    "the time ran out while waiting for the response: respond first, and do the work afterwards",
)
READING: Final = FailureReason(
    FailureKind.TIMEOUT, "the time ran out while reading the response: send a short one, and end it"
)
CLOSED: Final = FailureReason(FailureKind.RESET, "the connection was closed without a response")
CLOSED_EARLY: Final = FailureReason(FailureKind.RESET, "the connection was closed before the whole response had come")
RESET: Final = FailureReason(FailureKind.RESET, "the connection was reset before the whole response had come")
LOST_SENDING: Final = FailureReason(FailureKind.RESET, "the connection was lost while the request was sent")
NOT_HTTP: Final = FailureReason(FailureKind.PROTOCOL, "the response is not HTTP/1.1")
SPEAKS_TLS: Final = FailureReason(
    FailureKind.PROTOCOL, "the response is not HTTP/1.1 but TLS: set an endpoint that begins with https://"
)
NOT_VALID: Final = FailureReason(FailureKind.PROTOCOL, "the response is not valid HTTP")
LARGE_HEAD: Final = FailureReason(FailureKind.PROTOCOL, "the response's headers are too large")
OTHER_CODING: Final = FailureReason(FailureKind.PROTOCOL, "the response has a transfer encoding that was not asked for")

PROXY_CONNECTING: Final = FailureReason(
    FailureKind.PROXY, "packhook could not connect to its proxy: it did not answer in time"
)
PROXY_CREDENTIALS: Final = FailureReason(
    FailureKind.PROXY, "the proxy did not accept packhook's user name and password"
)
TUNNELING: Final = FailureReason(
    FailureKind.TIMEOUT,
    "the time ran out while the proxy connected to the endpoint: check that it is up and no firewall drops it",
)
TUNNEL_CLOSED: Final = FailureReason(
    FailureKind.TUNNEL, "the exchange with the proxy broke off, and no way to the endpoint was opened"
)
TUNNEL_NOT_HTTP: Final = FailureReason(FailureKind.TUNNEL, "the proxy's response is not valid HTTP")
TUNNEL_LARGE_HEAD: Final = FailureReason(FailureKind.TUNNEL, "the proxy's response has headers that are too large")

PROXY_UNREACHED: Final = (502, 503, 504)
"""The statuses by which a proxy says that it could not connect to the address."""

_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CONNECT: Final = {
    errno.ECONNREFUSED: "connection refused: nothing listens at the endpoint's port",
    errno.EHOSTUNREACH: "the endpoint's host cannot be reached: check that it is up and its DNS records are right",
    errno.ENETUNREACH: "the endpoint's network cannot be reached: check that its DNS records are right",
    errno.ETIMEDOUT: "the endpoint's host did not answer: check that it is up and no firewall drops the connection",
    errno.ECONNRESET: "the endpoint's host reset the connection while it was made",
}


def is_shortage(number: int | None) -> bool:
    """Return whether this error number says that our own system has too little of something."""
    return number in _SHORTAGES


def connect_reason(number: int | None) -> FailureReason:
    """Return why connecting to an endpoint failed, by the system's error number."""
    if is_shortage(number):
        return NO_SOCKET
    return FailureReason(FailureKind.CONNECT, _CONNECT.get(number or 0, "no connection to the endpoint came about"))


def proxy_connect_reason(number: int | None) -> FailureReason:
    """Return why connecting to the operator's proxy failed."""
    if is_shortage(number):
        return NO_SOCKET
    words = "the connection was refused" if number == errno.ECONNREFUSED else "it cannot be reached"
    return FailureReason(FailureKind.PROXY, f"packhook could not connect to its proxy: {words}")


def tunnel_reason(status: int) -> FailureReason:
    """Return why the proxy opened no tunnel, by the status of its response to CONNECT."""
    answered = f"it answered {named(status)}"
    match status:
        case HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return PROXY_CREDENTIALS
        case HTTPStatus.FORBIDDEN:
            words = (
                f"the proxy does not let packhook connect to the endpoint, {answered}: the operator can allow it there"
            )
        case _ if status in PROXY_UNREACHED:
            words = f"the proxy could not connect to the endpoint, {answered}: check that the endpoint is up"
        case _:
            words = f"the proxy opened no way to the endpoint, {answered}"
    return FailureReason(FailureKind.TUNNEL, words)
