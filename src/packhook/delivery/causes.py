"""Libcurl's errors, told as trouble: what went wrong, in words for the receiver's owner, with what to do about it.

The words never hold libcurl's own text: that names addresses.
"""

import errno
from typing import Final

import pycurl

from packhook.core.model import Trouble
from packhook.delivery.curl import Handle
from packhook.delivery.egress import REFUSAL
from packhook.delivery.tlscauses import NO_TLS, Cause, tls_cause

_CONNECT: Final = {
    errno.ECONNREFUSED: "connection refused: nothing listens at the endpoint's port",
    errno.EHOSTUNREACH: "the endpoint's host cannot be reached: check that it is up and its DNS records are right",
    errno.ENETUNREACH: "the endpoint's network cannot be reached: check that its DNS records are right",
    errno.ETIMEDOUT: "the endpoint's host did not answer: check that it is up and no firewall drops the connection",
    errno.ECONNRESET: "the endpoint's host reset the connection while it was made",
}
_PLAIN: Final[dict[int, Cause]] = {
    pycurl.E_SSL_CONNECT_ERROR: (Trouble.TLS, NO_TLS),
    pycurl.E_SSL_CACERT_BADFILE: (Trouble.INTERNAL, "packhook could not read its certificate authorities"),
    pycurl.E_GOT_NOTHING: (Trouble.RESET, "the connection was closed without an answer"),
    pycurl.E_PARTIAL_FILE: (Trouble.RESET, "the connection was closed before the whole answer had come"),
    pycurl.E_SEND_ERROR: (Trouble.RESET, "the connection was lost while the request was sent"),
    pycurl.E_RECV_ERROR: (Trouble.RESET, "the connection was reset before the whole answer had come"),
    pycurl.E_UNSUPPORTED_PROTOCOL: (Trouble.PROTOCOL, "the answer is not HTTP/1.1"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Trouble.PROTOCOL, "the answer is not valid HTTP"),
    pycurl.E_BAD_CONTENT_ENCODING: (Trouble.PROTOCOL, "the answer has a transfer encoding that was not asked for"),
    pycurl.E_ABORTED_BY_CALLBACK: (Trouble.INTERNAL, "packhook lost the pinned address of this request"),
}


def cause(code: int, handle: Handle) -> Cause:
    """Why the transfer that just ended on this handle failed with this error code (``pycurl.E_*``)."""
    told = tls_cause(code, handle)
    if told is not None:
        return told
    match code:
        case pycurl.E_COULDNT_CONNECT:
            return _connect(handle)
        case pycurl.E_OPERATION_TIMEDOUT:
            return _timeout(handle)
        case pycurl.E_RECV_ERROR if "chunk" in handle.easy.errstr():
            return Trouble.PROTOCOL, "the answer is not valid HTTP"
        case pycurl.E_WRITE_ERROR if handle.head_full:
            return Trouble.PROTOCOL, "the answer's headers are too large"
    return _PLAIN.get(code) or (Trouble.PROTOCOL, f"the exchange failed: {pycurl.easy_strerror(code)}")


def _connect(handle: Handle) -> Cause:
    if handle.blocked:
        return Trouble.BLOCKED, REFUSAL
    if handle.no_socket:
        return Trouble.INTERNAL, "packhook has no free socket: raise its limit of open files"
    number = handle.easy.getinfo(pycurl.OS_ERRNO)
    return Trouble.CONNECT, _CONNECT.get(number, "no connection to the endpoint came about")


def _timeout(handle: Handle) -> Cause:
    sent = handle.easy.getinfo(pycurl.REQUEST_SIZE)
    if not sent and not handle.easy.getinfo(pycurl.CONNECT_TIME) and not handle.opened:
        return Trouble.INTERNAL, "packhook had no connection free in time: it may have too few"
    return Trouble.TIMEOUT, f"the time ran out while {_sending(handle) if sent else _connecting(handle)}"


def _connecting(handle: Handle) -> str:
    if not handle.easy.getinfo(pycurl.CONNECT_TIME):
        return "connecting: check that the endpoint is up and no firewall drops the connection"
    return "agreeing on TLS: check that the endpoint speaks TLS on this port"


def _sending(handle: Handle) -> str:
    easy = handle.easy
    if handle.lines:
        return "reading the answer: send a short one, and end it"
    if easy.getinfo(pycurl.SIZE_UPLOAD_T) < easy.getinfo(pycurl.CONTENT_LENGTH_UPLOAD_T):
        return "sending the request: the endpoint does not read it"
    return "waiting for the answer: answer first, and do the work afterwards"
