"""One libcurl easy handle, set up once and used for one request after another.

What is the same for every request is set in the constructor; a request sets its URL, headers, body and time. The
callbacks keep of the answer what may be kept, and judge every socket before it is opened.

Before a request goes out over a kept connection, and again when its answer begins, the connection is asked whether that
answer can be the request's: libcurl itself looks at a kept connection only where it was idle for a second or longer.
"""

import asyncio
import fcntl
import select
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any, Final

import pycurl
from msgspec import Struct

from packhook.delivery.egress import Checked

BODY_LIMIT: Final = 64 * 1024
HEAD_LIMIT: Final = 64 * 1024
HEADERS_KEPT: Final = 100
IDLE_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 300
_ABORT: Final = -1
_FINAL: Final = 200
_EMPTY_LINES: Final = (b"\r\n", b"\n")
_TCP_INFO_SIZE: Final = 136  # up to and including the two counters, which Linux 4.1 added (linux/tcp.h)
_TCP_INFO_COUNTERS: Final = 120

Ends = tuple[str, str, int, int]
"""A connection by its remote and local address, and its remote and local port."""

_ALWAYS: Final = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.POST, 1),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.HTTP09_ALLOWED, 0),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.PATH_AS_IS, 1),  # the URL was rebuilt already; what was judged is what is asked for
    (pycurl.PROXY, ""),  # not even from the environment
    (pycurl.NOPROXY, "*"),
    (pycurl.NETRC, pycurl.NETRC_IGNORED),
    (pycurl.USERAGENT, ""),  # the request brings its own
    (pycurl.HTTP_CONTENT_DECODING, 0),
    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
    (pycurl.SSL_VERIFYPEER, 1),
    (pycurl.SSL_VERIFYHOST, 2),
    (pycurl.MAXAGE_CONN, IDLE_SECONDS),
    (pycurl.MAXLIFETIME_CONN, LIFETIME_SECONDS),
    (pycurl.DNS_CACHE_TIMEOUT, 60),  # longer than any request: a pin stays while its request lasts
)


class Sockets:
    """The socket behind each open connection, by the connection's ends. At most one entry for each descriptor."""

    def __init__(self) -> None:
        self._descriptors: dict[Ends, int] = {}
        self._ends: dict[int, Ends] = {}

    def note(self, ends: Ends, descriptor: int) -> None:
        """A new connection; whatever had these ends or this descriptor before is closed."""
        former = self._ends.pop(descriptor, None)
        if former is not None:
            self._descriptors.pop(former, None)
        self._ends.pop(self._descriptors.get(ends, -1), None)
        self._descriptors[ends] = descriptor
        self._ends[descriptor] = ends

    def find(self, ends: Ends) -> int | None:
        """The descriptor of an open connection, if it was noted."""
        return self._descriptors.get(ends)


class Handle:
    """A reusable easy handle and what it has collected of the present answer.

    ``lines`` and ``body`` are the answer so far; ``body_full`` and ``head_full`` say that a limit cut it off.
    Of the sockets it asked for: one was ``blocked``, there was ``no_socket`` to be had, one was ``opened``.
    ``unasked``: it was broken off because its kept connection held an answer that no request had asked for.
    """

    __slots__ = (
        "_before", "_descriptor", "_fresh", "_head_size", "_loop", "_made", "_may_open", "_room", "_sockets", "_timeout",
        "_url", "blocked", "body", "body_full", "easy", "head_full", "lines", "no_socket", "opened", "unasked",
    )  # fmt: skip

    def __init__(
        self, trust: str, may_open: Callable[[str], bool], loop: asyncio.AbstractEventLoop, sockets: Sockets
    ) -> None:
        """``trust``: the file of certificate authorities. ``may_open``: whether to open a socket to an address."""
        self._may_open = may_open
        self._loop = loop
        self._sockets = sockets
        self._url = ""
        self._timeout = 0
        self._fresh = False
        self._made: list[int] = []
        self.lines: list[bytes] = []
        self.body: list[bytes] = []
        self.clear()
        self.easy: Any = pycurl.Curl()
        for option, value in _ALWAYS:
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.CAINFO, trust)
        self.easy.unsetopt(pycurl.CAPATH)
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.easy.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        self.easy.setopt(pycurl.PREREQFUNCTION, self._on_connected)
        self.easy.setopt(pycurl.RESOLVER_START_FUNCTION, _refuse_look_up)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._on_header)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._on_body)

    def load(self, checked: Checked, lines: list[bytes], body: bytes, timeout: int, *, fresh: bool = False) -> None:
        """Make the next request ready: at the checked place, within ``timeout`` milliseconds (at least 1).

        ``fresh``: over a new connection, whatever is kept.
        """
        setopt = self.easy.setopt
        if fresh != self._fresh:
            setopt(pycurl.FRESH_CONNECT, int(fresh))
            self._fresh = fresh
        if checked.url != self._url:
            setopt(pycurl.URL, checked.url)
            self._url = checked.url
        setopt(pycurl.RESOLVE, [checked.pin])
        setopt(pycurl.HTTPHEADER, lines)
        setopt(pycurl.POSTFIELDS, body)
        if timeout != self._timeout:
            setopt(pycurl.TIMEOUT_MS, timeout)
            self._timeout = timeout

    def status_code(self) -> int:
        """The status code of the last answer, 1xx included; 0 where there was none."""
        return int(self.easy.getinfo(pycurl.RESPONSE_CODE))

    def has_whole_head(self) -> bool:
        """Whether a final answer's head has come, to its empty line."""
        return self.status_code() >= _FINAL and any(line in _EMPTY_LINES for line in self.lines)

    def clear(self) -> None:
        """Forget the last answer."""
        self.lines.clear()
        self.body.clear()
        self._room = BODY_LIMIT
        self._head_size = 0
        self._before: _Traffic | None = None
        self._descriptor = -1
        self.body_full = self.head_full = self.blocked = self.no_socket = self.opened = self.unasked = False

    def close(self) -> None:
        """Free it; it must not be under way."""
        self.easy.close()

    def _on_header(self, line: bytes) -> int | None:
        self._head_size += len(line)
        if self._head_size > HEAD_LIMIT:
            self.head_full = True
            return _ABORT
        if line.startswith(b"HTTP/"):
            if self._is_unasked():
                self.unasked = True
                return _ABORT
            self.lines.clear()  # what came before was a 1xx
        self.lines.append(line)
        return None

    def _on_body(self, chunk: bytes) -> int | None:
        if len(chunk) > self._room:
            self.body.append(chunk[: self._room])
            self.body_full = True
            return _ABORT
        self.body.append(chunk)
        self._room -= len(chunk)
        return None

    def _open_socket(self, _purpose: int, address: Any) -> socket.socket | int:  # noqa: ANN401 pycurl has no types
        family, kind, protocol, place = address
        if family not in {socket.AF_INET, socket.AF_INET6} or not self._may_open(place[0]):
            self.blocked = True
            return int(pycurl.SOCKET_BAD)
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError:
            self.no_socket = True
            return int(pycurl.SOCKET_BAD)
        self.opened = True
        self._loop.call_soon(opened.close)  # pycurl takes a duplicate when this returns
        return opened


    def _on_socket(self, descriptor: int, _purpose: int) -> int:
        self._made.append(descriptor)
        return int(pycurl.SOCKOPT_OK)

    def _on_connected(self, *ends: Any) -> int:  # noqa: ANN401 as above
        """There is a connection for the request; refuses a kept one from which something waits to be read."""
        if self.opened:
            made = next((each for each in self._made if _local_end(each) == (ends[1], ends[3])), None)
            self._made.clear()
            if made is not None:
                self._sockets.note(ends, made)
            return int(pycurl.PREREQFUNC_OK)
        descriptor = self._sockets.find(ends)
        if descriptor is None or _is_readable(descriptor):
            self.unasked = True
            return int(pycurl.PREREQFUNC_ABORT)
        self._descriptor, self._before = descriptor, _traffic(descriptor)
        return int(pycurl.PREREQFUNC_OK)

    def _is_unasked(self) -> bool:
        """Whether the answer that begins was there, or on its way, before a byte of the request had arrived."""
        before, self._before = self._before, None  # once: what comes after the first line is its continuation
        now = None if before is None else _traffic(self._descriptor)
        return before is not None and now is not None and now.cannot_answer_what_was_sent_after(before)


class _Traffic(Struct, frozen=True, gc=False):
    """Bytes of one connection so far: acknowledged by the other side, still on their way to it, and received."""

    acknowledged: int
    under_way: int
    received: int

    def cannot_answer_what_was_sent_after(self, before: "_Traffic") -> bool:
        """Nothing came since, or none of what was sent since has arrived: TCP acknowledges with each answer."""
        return self.received == before.received or self.acknowledged <= before.acknowledged + before.under_way


def _traffic(descriptor: int) -> _Traffic | None:
    """None where the system does not count."""
    if sys.platform != "linux":
        return None
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)  # whatever its family is
    try:
        counted = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        (under_way,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return None
    finally:
        borrowed.detach()
    if len(counted) < _TCP_INFO_SIZE:
        return None
    acknowledged, received = struct.unpack_from("QQ", counted, _TCP_INFO_COUNTERS)
    return _Traffic(acknowledged, under_way, received) if acknowledged and received else None


def _is_readable(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


def _local_end(descriptor: int) -> tuple[str, int] | None:
    """Address and port on this side; None where the descriptor was closed meanwhile."""
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        host, port = borrowed.getsockname()[:2]
    except OSError:
        return None
    finally:
        borrowed.detach()
    return host.partition("%")[0], port


def _refuse_look_up() -> int:
    """Libcurl looks nothing up by itself: every host is pinned, and one whose pin is missing fails here."""
    return _ABORT
