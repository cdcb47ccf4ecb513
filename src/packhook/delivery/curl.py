"""One libcurl easy handle, set up once and used for one request after another.

What is the same for every request is set in the constructor; a request sets its URL, headers, body and time. The
callbacks keep of the answer what may be kept, and judge every socket before it is opened.

Before a request goes out over a kept connection, and again when its answer begins, the connection is asked whether that
answer can be the request's: libcurl itself looks at a kept connection only where it was idle for a second or longer.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pycurl
from cryptography import x509

from packhook.core.client_certificate import facts_of
from packhook.core.egress_proxy import Proxy
from packhook.core.model import ClientCertificate
from packhook.delivery.egress import Checked
from packhook.delivery.limits import BODY_LIMIT, HEAD_LIMIT, IDLE_SECONDS, LIFETIME_SECONDS
from packhook.delivery.traffic import Socket, Traffic

POST: Final = "POST"
PROXY_FAILED: Final = (502, 503, 504)
_ABORT: Final = -1
_FINAL: Final = 200
_EMPTY_LINES: Final = (b"\r\n", b"\n")

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
    """The socket behind each connection, by the connection's ends; at most one for each descriptor.

    ``made`` is called with the descriptor of each socket that is made, before it is connected.
    """

    def __init__(self, made: Callable[[int], object]) -> None:
        self.made = made
        self._ends: dict[int, Ends] = {}
        self._sockets: dict[Ends, Socket] = {}

    def note(self, ends: Ends, descriptors: Sequence[int]) -> None:
        """A new connection, over one of these; whatever had its ends or its descriptor before is closed."""
        for descriptor in descriptors:
            self._drop(self._ends.get(descriptor))
            with suppress(OSError):  # closed: another address of the name was quicker
                self._take(Socket(descriptor), ends)

    def _take(self, made: Socket, ends: Ends) -> None:
        """Keep it if these are its ends, forget it if they are not or cannot be told."""
        mine = False
        try:
            mine = made.is_bound_to(ends[1], ends[3])
        finally:
            if not mine:
                made.forget()
        if mine:
            self._drop(ends)
            self._ends[made.descriptor], self._sockets[ends] = ends, made

    def find(self, ends: Ends) -> Socket | None:
        """The socket of an open connection, if it was noted."""
        return self._sockets.get(ends)

    def _drop(self, ends: Ends | None) -> None:
        gone = self._sockets.pop(ends, None) if ends is not None else None
        if gone is not None:
            del self._ends[gone.descriptor]
            gone.forget()

    def close(self) -> None:
        """Give every descriptor back."""
        for ends in list(self._sockets):
            self._drop(ends)


class Handle:
    """A reusable easy handle and what it has collected of the present answer.

    ``lines`` and ``body`` are the answer so far; ``body_full`` and ``head_full`` say that a limit cut it off.
    Of the sockets it asked for: one was ``blocked``, there was ``no_socket`` to be had, one was ``opened``.
    ``tunneled``: where it ``is_proxied``, the proxy has opened the way to the endpoint.
    ``unasked``: it was broken off because its kept connection held an answer that no request had asked for.
    """

    __slots__ = (
        "_before", "_fresh", "_head_size", "_identity", "_kept", "_looking", "_loop", "_made", "_may_open", "_method",
        "_opens", "_room", "_sockets", "_timeout", "_url", "blocked", "body", "body_full", "easy", "head_full",
        "is_proxied", "lines", "no_socket", "opened", "tunneled", "unasked",
    )  # fmt: skip

    def __init__(
        self,
        trust: str,
        may_open: Callable[[str, int], bool],
        loop: asyncio.AbstractEventLoop,
        sockets: Sockets,
        proxy: Proxy | None = None,
    ) -> None:
        """``trust``: the file of certificate authorities. ``may_open``: whether to open a socket to address and port.

        With a ``proxy``, every request goes through a tunnel that it opens.
        """
        self._may_open = may_open
        self._loop = loop
        self._sockets = sockets
        self._url = ""
        self._timeout = 0
        self._fresh = False
        self._identity: ClientCertificate | None = None
        self._looking = False
        self._method = POST
        self._made: list[int] = []
        self.lines: list[bytes] = []
        self.body: list[bytes] = []
        self.clear()
        self.easy: Any = pycurl.Curl()
        self.is_proxied = proxy is not None
        for option, value in (*_ALWAYS, *(() if proxy is None else _through(proxy))):
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.CAINFO, trust)
        self.easy.unsetopt(pycurl.CAPATH)
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.easy.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        self.easy.setopt(pycurl.PREREQFUNCTION, self._on_connected)
        self.easy.setopt(pycurl.RESOLVER_START_FUNCTION, _refuse_look_up)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._on_header if proxy is None else self._on_header_of_either)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._on_body)

    def load(
        self,
        checked: Checked,
        lines: list[bytes],
        body: bytes,
        timeout: int,
        *,
        identity: ClientCertificate | None = None,
        method: str = POST,
        fresh: bool = False,
        looking: bool = False,
    ) -> None:
        """Make the next request ready: at the checked place, within ``timeout`` milliseconds (at least 1).

        ``identity``: the client certificate to show where it is asked for; it and ``method`` until the next
        :meth:`clear` only.
        ``fresh``: over a new connection, whatever is kept. ``looking``: keep what certificates the endpoint shows.
        """
        if looking:
            self.easy.setopt(pycurl.OPT_CERTINFO, 1)
            self._looking = True
        if identity is not None:
            self._show(identity)
        if method != POST:
            self.easy.setopt(pycurl.CUSTOMREQUEST, method)
            self._method = method
        setopt = self.easy.setopt
        if fresh != self._fresh:
            setopt(pycurl.FRESH_CONNECT, int(fresh))
            self._fresh = fresh
        if checked.url != self._url:
            setopt(pycurl.URL, checked.url)
            self._url = checked.url
        setopt(pycurl.RESOLVE, [checked.pin])
        if self.is_proxied:
            setopt(pycurl.CONNECT_TO, [checked.to[0]])  # an IndexError is better than a name for the proxy to resolve
        setopt(pycurl.HTTPHEADER, lines)
        setopt(pycurl.POSTFIELDS, body)
        if timeout != self._timeout:
            setopt(pycurl.TIMEOUT_MS, timeout)
            self._timeout = timeout

    @property
    def identity(self) -> ClientCertificate | None:
        """The client certificate that this request may show."""
        return self._identity

    def certificates(self) -> list[x509.Certificate]:
        """What the endpoint showed, its own first; nothing where it was not looked at, or cannot be read."""
        shown = self.easy.getinfo_raw(pycurl.INFO_CERTINFO) if self._looking else []
        try:
            chain = [x509.load_pem_x509_certificate(pem) for each in shown for name, pem in each if name == b"Cert"]
            for each in chain:
                facts_of(each)
        except Exception:  # noqa: BLE001 a stranger's certificate: what reads it need not like it
            return []
        return chain

    def _show(self, identity: ClientCertificate) -> None:
        """The certificate for one request.

        libcurl keeps connections apart by it. A TLS session is not kept at all: one that is resumed counts as shown.
        """
        self._identity = identity
        self.easy.setopt(pycurl.SSLCERT_BLOB, identity.certificate)
        self.easy.setopt(pycurl.SSLKEY_BLOB, identity.key)
        self.easy.setopt(pycurl.SSL_SESSIONID_CACHE, 0)

    def _hide(self) -> None:
        self.easy.unsetopt(pycurl.SSLCERT_BLOB)
        self.easy.unsetopt(pycurl.SSLKEY_BLOB)
        self.easy.setopt(pycurl.SSL_SESSIONID_CACHE, 1)
        self._identity = None

    def status_code(self) -> int:
        """The status code of the last answer, 1xx included; 0 where there was none."""
        return int(self.easy.getinfo(pycurl.RESPONSE_CODE))

    def proxy_code(self) -> int:
        """The status code of the proxy's answer to CONNECT; 0 where there was none."""
        return int(self.easy.getinfo(pycurl.HTTP_CONNECTCODE))

    def is_unreached(self) -> bool:
        """Whether the proxy says that it could not connect to the address it was told."""
        return not self.tunneled and self.proxy_code() in PROXY_FAILED

    def has_whole_head(self) -> bool:
        """Whether a final answer's head has come, to its empty line."""
        return self.status_code() >= _FINAL and any(line in _EMPTY_LINES for line in self.lines)

    def clear(self) -> None:
        """Forget the last answer, and the certificate that its request showed."""
        if self._identity is not None:
            self._hide()
        if self._method != POST:
            self.easy.unsetopt(pycurl.CUSTOMREQUEST)
            self._method = POST
        if self._looking:
            self.easy.setopt(pycurl.OPT_CERTINFO, 0)
            self._looking = False
        self.lines.clear()
        self.body.clear()
        self._room = BODY_LIMIT
        self._head_size = 0
        self._made.clear()
        self._before: Traffic | None = None
        self._kept: Socket | None = None
        self.body_full = self.head_full = self.blocked = self.no_socket = self.opened = self.unasked = False
        self.tunneled = self._opens = False

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

    def _on_header_of_either(self, line: bytes) -> int | None:
        """A header of the proxy's answer to CONNECT, which is nobody's, until that ends; then of the endpoint's."""
        if self.tunneled:
            return self._on_header(line)
        self._head_size += len(line)
        if self._head_size > HEAD_LIMIT:
            self.head_full = True
            return _ABORT
        if line.startswith(b"HTTP/"):
            self._opens = line.partition(b" ")[2].startswith(b"2")
        elif line in _EMPTY_LINES and self._opens:
            self.tunneled = True
            self._head_size = 0
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
        if family not in {socket.AF_INET, socket.AF_INET6} or not self._may_open(place[0], place[1]):
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
        self._sockets.made(descriptor)
        return int(pycurl.SOCKOPT_OK)

    def _on_connected(self, *ends: Any) -> int:  # noqa: ANN401 as above
        """There is a connection for the request: a new one, or a kept one that must be as its last answer left it."""
        self.tunneled = True
        if self.opened:
            self._sockets.note(ends, self._made)
            self._kept = self._before = None
            return int(pycurl.PREREQFUNC_OK)
        self._kept = self._sockets.find(ends)
        if self._kept is None or self._kept.is_readable():
            self.unasked = True
            return int(pycurl.PREREQFUNC_ABORT)
        self._before = self._kept.traffic()
        if self._before is not None and not self._before.is_settled:
            self.unasked = True  # its last answer did not wait for its request
            return int(pycurl.PREREQFUNC_ABORT)
        return int(pycurl.PREREQFUNC_OK)

    def _is_unasked(self) -> bool:
        """Whether the answer that begins was there, or on its way, before a byte of the request had arrived."""
        kept, before, self._before = self._kept, self._before, None  # asked once: later lines continue the first
        if kept is None or before is None:
            return False
        now = kept.traffic()
        return now is not None and not now.has_answered(before)


def _through(proxy: Proxy) -> tuple[tuple[int, Any], ...]:
    """Tunnels for http and https alike, always; our headers are for the endpoint, never for the proxy."""
    credentials = (
        (pycurl.PROXYUSERNAME, proxy.user.encode()),
        (pycurl.PROXYPASSWORD, proxy.password.encode()),
    )
    return (
        (pycurl.PROXY, proxy.url),
        (pycurl.NOPROXY, ""),  # not even from the environment
        (pycurl.HTTPPROXYTUNNEL, 1),
        (pycurl.HEADEROPT, pycurl.HEADER_SEPARATE),
        (pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC),
        *(credentials if proxy.user or proxy.password else ()),
    )


def _refuse_look_up() -> int:
    """Libcurl looks nothing up by itself: every host is pinned, and one whose pin is missing fails here."""
    return _ABORT
