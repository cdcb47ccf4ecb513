"""What goes wrong on the wire, told as trouble: in words for the receiver's owner, with what to do about it.

``cause`` reads libcurl's errors; its own text is never told, because that names addresses.
"""

import errno
import time
from http import HTTPStatus
from typing import Final

import pycurl

from packhook.core.clock import SECOND
from packhook.core.model import FailureKind, Outcome
from packhook.core.retry_policy import named
from packhook.delivery.curl import PROXY_FAILED, Handle
from packhook.delivery.egress import REFUSAL
from packhook.delivery.tlscauses import NO_TLS, tls_cause

Cause = tuple[FailureKind, str]

NO_CONNECTION: Final = FailureKind.INTERNAL, "packhook had no connection free in time: it may have too few"
NO_SOCKET: Final = FailureKind.INTERNAL, "packhook has no free socket: raise its limit of open files"
LOST_PIN: Final = FailureKind.INTERNAL, "packhook lost the pinned address of this request"
STOPPING: Final = FailureKind.INTERNAL, "packhook is stopping"
BROKE: Final = FailureKind.INTERNAL, "packhook could not send this; its log says why"
BAD_HEADER: Final = FailureKind.INTERNAL, "nothing was sent: a header holds a line break or NUL"
BLOCKED: Final = FailureKind.BLOCKED, REFUSAL
CONNECTING: Final = (
    FailureKind.TIMEOUT,
    "the time ran out while connecting: check that the endpoint is up and no firewall drops the connection",
)
SENDING: Final = FailureKind.TIMEOUT, "the time ran out while sending the request: the endpoint does not read it"
WAITING: Final = (
    FailureKind.TIMEOUT,
    "the time ran out while waiting for the answer: answer first, and do the work afterwards",
)
READING: Final = FailureKind.TIMEOUT, "the time ran out while reading the answer: send a short one, and end it"
CLOSED: Final = FailureKind.RESET, "the connection was closed without an answer"
CLOSED_EARLY: Final = FailureKind.RESET, "the connection was closed before the whole answer had come"
RESET: Final = FailureKind.RESET, "the connection was reset before the whole answer had come"
LOST_SENDING: Final = FailureKind.RESET, "the connection was lost while the request was sent"
NOT_HTTP: Final = FailureKind.PROTOCOL, "the answer is not HTTP/1.1"
NOT_VALID: Final = FailureKind.PROTOCOL, "the answer is not valid HTTP"
LARGE_HEAD: Final = FailureKind.PROTOCOL, "the answer's headers are too large"
OTHER_CODING: Final = FailureKind.PROTOCOL, "the answer has a transfer encoding that was not asked for"

_CONNECT: Final = {
    errno.ECONNREFUSED: "connection refused: nothing listens at the endpoint's port",
    errno.EHOSTUNREACH: "the endpoint's host cannot be reached: check that it is up and its DNS records are right",
    errno.ENETUNREACH: "the endpoint's network cannot be reached: check that its DNS records are right",
    errno.ETIMEDOUT: "the endpoint's host did not answer: check that it is up and no firewall drops the connection",
    errno.ECONNRESET: "the endpoint's host reset the connection while it was made",
}
_PLAIN: Final[dict[int, Cause]] = {
    pycurl.E_SSL_CONNECT_ERROR: (FailureKind.TLS, NO_TLS),
    pycurl.E_SSL_CACERT_BADFILE: (FailureKind.INTERNAL, "packhook could not read its certificate authorities"),
    pycurl.E_GOT_NOTHING: CLOSED,
    pycurl.E_PARTIAL_FILE: CLOSED_EARLY,
    pycurl.E_SEND_ERROR: LOST_SENDING,
    pycurl.E_RECV_ERROR: RESET,
    pycurl.E_UNSUPPORTED_PROTOCOL: NOT_HTTP,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: NOT_VALID,
    pycurl.E_BAD_CONTENT_ENCODING: OTHER_CODING,
    pycurl.E_ABORTED_BY_CALLBACK: LOST_PIN,
}
_NOT_THE_PROXY: Final = (
    pycurl.E_ABORTED_BY_CALLBACK, pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CERTPROBLEM,
)  # fmt: skip


def failed(why: Cause, began: float) -> Outcome:
    """The outcome of a request that came to nothing; ``began`` is when its time began, in monotonic seconds."""
    return Outcome(trouble=why[0], detail=why[1], duration=since(began))


def since(began: float) -> int:
    """Milliseconds since then."""
    return int((time.monotonic() - began) * SECOND)


def cause(code: int, handle: Handle) -> Cause:
    """Why the transfer that just ended on this handle failed with this error code (``pycurl.E_*``)."""
    if handle.is_proxied and not handle.tunneled and code not in _NOT_THE_PROXY and not handle.blocked:
        return _proxy(code, handle)
    told = tls_cause(code, handle)
    if told is not None:
        return told
    match code:
        case pycurl.E_COULDNT_CONNECT:
            return _connect(handle)
        case pycurl.E_OPERATION_TIMEDOUT:
            return _timeout(handle)
        case pycurl.E_RECV_ERROR if "chunk" in handle.easy.errstr():
            return NOT_VALID
        case pycurl.E_WRITE_ERROR if handle.head_full:
            return LARGE_HEAD
    return _PLAIN.get(code) or (FailureKind.PROTOCOL, f"the exchange failed: {pycurl.easy_strerror(code)}")


def cause_of_connect(number: int | None) -> Cause:
    """Why no connection came about, by the system's error number."""
    return FailureKind.CONNECT, _CONNECT.get(number or 0, "no connection to the endpoint came about")


def _proxy(code: int, handle: Handle) -> Cause:
    """No tunnel came about. Until the proxy was told where to, that says nothing of the endpoint."""
    match code, handle.proxy_code():
        case pycurl.E_COULDNT_CONNECT, 0 if not handle.no_socket:
            return FailureKind.PROXY, f"packhook could not connect to its proxy: {_proxy_words(handle)}"
        case pycurl.E_COULDNT_CONNECT, 0:
            return _connect(handle)
        case pycurl.E_OPERATION_TIMEDOUT, _:
            return _proxy_timeout(handle)
        case _, 407:
            return FailureKind.PROXY, "the proxy did not accept packhook's user name and password"
        case pycurl.E_COULDNT_CONNECT, status:
            return FailureKind.TUNNEL, _refused(status)
        case pycurl.E_WRITE_ERROR, _ if handle.head_full:
            return FailureKind.TUNNEL, "the proxy's answer has headers that are too large"
        case ((pycurl.E_RECV_ERROR | pycurl.E_SEND_ERROR | pycurl.E_GOT_NOTHING), _):
            return FailureKind.TUNNEL, "the exchange with the proxy broke off, and no way to the endpoint was opened"
    return FailureKind.TUNNEL, "the proxy's answer is not valid HTTP"


def _proxy_words(handle: Handle) -> str:
    number = handle.easy.getinfo(pycurl.OS_ERRNO)
    return "the connection was refused" if number == errno.ECONNREFUSED else "it cannot be reached"


def _proxy_timeout(handle: Handle) -> Cause:
    if not handle.opened:
        return _timeout(handle)
    if not handle.easy.getinfo(pycurl.CONNECT_TIME):
        return FailureKind.PROXY, "packhook could not connect to its proxy: it did not answer in time"
    words = "the time ran out while the proxy connected to the endpoint: check that it is up and no firewall drops it"
    return FailureKind.TIMEOUT, words


def _refused(status: int) -> str:
    answered = f"it answered {named(status)}"
    if status in PROXY_FAILED:
        return f"the proxy could not connect to the endpoint, {answered}: check that the endpoint is up"
    if status == HTTPStatus.FORBIDDEN:
        return f"the proxy does not let packhook connect to the endpoint, {answered}: the operator can allow it there"
    return f"the proxy opened no way to the endpoint, {answered}"


def _connect(handle: Handle) -> Cause:
    if handle.blocked:
        return BLOCKED
    if handle.no_socket:
        return NO_SOCKET
    return cause_of_connect(handle.easy.getinfo(pycurl.OS_ERRNO))


def _timeout(handle: Handle) -> Cause:
    sent = handle.easy.getinfo(pycurl.REQUEST_SIZE)
    if not sent and not handle.easy.getinfo(pycurl.CONNECT_TIME) and not handle.opened:
        return NO_CONNECTION
    return _sending(handle) if sent else _connecting(handle)


def _connecting(handle: Handle) -> Cause:
    if not handle.easy.getinfo(pycurl.CONNECT_TIME):
        return CONNECTING
    return (
        FailureKind.TIMEOUT,
        "the time ran out while agreeing on TLS: check that the endpoint speaks TLS on this port",
    )


def _sending(handle: Handle) -> Cause:
    easy = handle.easy
    if handle.lines:
        return READING
    if easy.getinfo(pycurl.SIZE_UPLOAD_T) < easy.getinfo(pycurl.CONTENT_LENGTH_UPLOAD_T):
        return SENDING
    return WAITING
