"""Test the HTTP client with a client that may connect to loopback, receivers by http or https, and requests.

The fixture ``scheme`` runs a test by http and by https: receivers of :func:`receiving` speak that one.
"""

import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

import trustme

from packhook.core.egress_proxy import parse_proxy
from packhook.core.ip_policy import Address
from packhook.core.model import Request
from packhook.delivery.attempt import lines
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.delivery.http.egress_proxy import ProxiedEgress
from packhook.testing import Behaviour, ConnectProxy, Receiver
from packhook.testing.receiver import Received

scheme = "http"  # of the receivers; the fixture ``scheme`` sets it
NAMES: Final = ("localhost", "127.0.0.1", "::1", "shop.test", "other.test")
LOOPBACK: Final = (ip_network("127.0.0.0/8"),)
BODY: Final = b'{"id":"evt_1","data":{"note":"\xc3\xa9"}}'
HEADERS: Final = (("content-type", "application/json"), ("user-agent", "packhook/test"), ("webhook-id", "evt_1"))


@cache
def _certificate_authority() -> tuple[trustme.CA, trustme.LeafCert]:
    made = trustme.CA()
    return made, made.issue_cert(*NAMES)


def server_context() -> ssl.SSLContext:
    """Return a new context for a receiver with a certificate for all NAMES."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate_authority()[1].configure_cert(context)
    return context


@cache
def authority() -> tuple[ssl.SSLContext, Path]:
    """Return a context for receivers, and the file of the authority that issued its certificate."""
    bundle = Path(tempfile.mkdtemp(prefix="packhook-test-")) / "authority.pem"
    _certificate_authority()[0].cert_pem.write_to_path(str(bundle))
    return server_context(), bundle


def through_proxy(proxy: ConnectProxy) -> ProxiedEgress:
    """Return an egress through this proxy that may connect to 127.0.0.0/8, also by http."""
    return ProxiedEgress(parse_proxy(proxy.url), LOOPBACK, allow_http=True)


def receiving(
    answer: Behaviour | Callable[[Received], Behaviour] | None = None, *, address: str = "127.0.0.1", hostname: str = ""
) -> Receiver:
    """Return a receiver that speaks the scheme of the test."""
    return Receiver(answer, tls=authority()[0] if scheme == "https" else None, address=address, hostname=hostname)


class FakeDns:
    """Resolve to the next of the given answers; the last one stays. ``asked``: the names that were looked up."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:  # noqa: ARG002 the signature of a resolver
        """Return the next answer, or raise it."""
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [ip_address(text) for text in answer]


class WatchedEgress(Egress):
    """Record the addresses for which a socket is requested."""

    opening: tuple[str, ...] = ()

    def may_open(self, address: str, port: int) -> bool:
        """Record the address, and return the decision of the egress."""
        self.opening += (address,)
        return super().may_open(address, port)


@asynccontextmanager
async def sending(
    egress: Egress | None = None, *, ca_bundle: Path | None = None, max_connections: int = 1024
) -> AsyncIterator[HttpClient]:
    """Open a client that trusts :func:`authority`; without ``egress`` it may connect to 127.0.0.0/8, also by http."""
    client = HttpClient(
        egress or Egress(LOOPBACK, allow_http=True),
        ca_bundle=ca_bundle or authority()[1],
        max_connections=max_connections,
    )
    await client.open()
    try:
        yield client
    finally:
        await client.close()


def request_to(url: str, *, timeout: int = 3_000, body: bytes = BODY) -> Request:
    """Return a request like those of attempts; ``timeout`` in milliseconds."""
    return Request(url=url, headers=lines(HEADERS), body=body, timeout=timeout)
