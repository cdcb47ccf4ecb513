"""One libcurl easy handle, set up once and used for one request after another.

What is the same for every request is set in the constructor; a request sets its URL, headers, body and time. The
callbacks keep of the answer what may be kept, and judge every socket before it is opened.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import pycurl

from packhook.delivery.egress import Checked

BODY_LIMIT: Final = 64 * 1024
HEAD_LIMIT: Final = 64 * 1024
HEADERS_KEPT: Final = 100
IDLE_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 300
_ABORT: Final = -1
_FINAL: Final = 200
_EMPTY_LINES: Final = (b"\r\n", b"\n")

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


class Handle:
    """A reusable easy handle and what it has collected of the present answer.

    ``lines`` and ``body`` are the answer so far; ``body_full`` and ``head_full`` say that a limit cut it off.
    Of the sockets it asked for: one was ``blocked``, there was ``no_socket`` to be had, one was ``opened``.
    """

    __slots__ = (
        "_head_size", "_loop", "_may_open", "_room", "_timeout", "_url",
        "blocked", "body", "body_full", "easy", "head_full", "lines", "no_socket", "opened",
    )  # fmt: skip

    def __init__(self, trust: str, may_open: Callable[[str], bool], loop: asyncio.AbstractEventLoop) -> None:
        """``trust``: the file of certificate authorities. ``may_open``: whether to open a socket to an address."""
        self._may_open = may_open
        self._loop = loop
        self._url = ""
        self._timeout = 0
        self.lines: list[bytes] = []
        self.body: list[bytes] = []
        self.clear()
        self.easy: Any = pycurl.Curl()
        for option, value in _ALWAYS:
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.CAINFO, trust)
        self.easy.unsetopt(pycurl.CAPATH)
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.easy.setopt(pycurl.RESOLVER_START_FUNCTION, _refuse_look_up)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._on_header)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._on_body)

    def load(self, checked: Checked, lines: list[bytes], body: bytes, timeout: int) -> None:
        """Make the next request ready: at the checked place, within ``timeout`` milliseconds (at least 1)."""
        setopt = self.easy.setopt
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
        self.body_full = self.head_full = self.blocked = self.no_socket = self.opened = False

    def close(self) -> None:
        """Free it; it must not be under way."""
        self.easy.close()

    def _on_header(self, line: bytes) -> int | None:
        self._head_size += len(line)
        if self._head_size > HEAD_LIMIT:
            self.head_full = True
            return _ABORT
        if line.startswith(b"HTTP/"):
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


def _refuse_look_up() -> int:
    """Libcurl looks nothing up by itself: every host is pinned, and one whose pin is missing fails here."""
    return _ABORT
