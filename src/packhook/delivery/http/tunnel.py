"""Ask an HTTP proxy for a tunnel to an address (CONNECT), and read its response."""

from base64 import b64encode
from typing import Final

from packhook.core.egress_proxy import Proxy
from packhook.delivery.http import failure_reasons as reasons
from packhook.delivery.http.failure_reasons import FailureReason
from packhook.delivery.http.response_parser import (
    HEAD_LIMIT,
    InvalidHead,
    find_end_of_head,
    may_begin_response,
    parse_head,
)

_OPENED: Final = range(200, 300)


class Tunnel:
    """Hold one CONNECT exchange.

    ``request``: the bytes to send; the endpoint's headers are no part of it. ``failure``: why there is no tunnel;
    ``is_unreached``: the proxy says that it could not connect to the address.
    """

    __slots__ = ("_received", "failure", "is_unreached", "request")

    def __init__(self, proxy: Proxy, address: str, port: int) -> None:
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "Proxy-Connection: Keep-Alive"]
        if proxy.user or proxy.password:
            credentials = b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {credentials}")
        self.request = "\r\n".join([*lines, "", ""]).encode()
        self.failure: FailureReason | None = None
        self.is_unreached = False
        self._received = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return what came behind the response that opened the tunnel, None before that and on failure."""
        self._received += data
        if not may_begin_response(self._received):
            self.failure = reasons.TUNNEL_NOT_HTTP
            return None
        end = find_end_of_head(self._received)
        if (len(self._received) if end is None else end[1]) > HEAD_LIMIT:
            self.failure = reasons.TUNNEL_LARGE_HEAD
            return None
        if end is None:
            return None
        try:
            status = parse_head(self._received[: end[0]]).status
        except InvalidHead:
            self.failure = reasons.TUNNEL_NOT_HTTP
            return None
        if status in _OPENED:
            return self._received[end[1] :]
        self.failure = reasons.tunnel_reason(status)
        self.is_unreached = status in reasons.PROXY_UNREACHED
        return None
