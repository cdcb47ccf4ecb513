"""Decide where we may connect: resolve once, refuse if any address is denied, pin what was judged.

::

    url ─ parse (once, cached) ─┬─ literal: judged at once, no DNS ──────────────┬─▶ PinnedUrl | Refused
                                └─ name: one look-up, every address is judged ───┘
                                   (shared while under way, kept for some seconds)

The client connects to the addresses of the ``PinnedUrl`` alone, and asks :meth:`Egress.may_open` again for each socket.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from packhook.core.clock import SECOND
from packhook.core.egress_proxy import Proxy
from packhook.core.endpoint import Endpoint, InvalidEndpoint, parse_endpoint
from packhook.core.fairness import FairShare
from packhook.core.ip_policy import Address, Network, may_connect
from packhook.core.model import ClientCertificate, FailureKind
from packhook.delivery.http.resolver import MAX_LOOKUPS, Resolve, ResolverBusy, SystemResolver

HTTPS: Final = "https"
REFUSAL: Final = "the endpoint's address may not be connected to"
LOOKUP_LIMIT: Final = 5 * SECOND
KEPT_SECONDS: Final = 5.0
MAX_CACHED: Final = 10_000

_DNS_ERRORS: Final = {
    socket.EAI_NONAME: "the host name does not exist: check the endpoint's spelling and its DNS records",
    socket.EAI_AGAIN: "the host name could not be looked up: its name servers did not answer",
}
_NO_ADDRESS: Final = "the host name has no address: check its DNS records"


class PinnedUrl(Struct, frozen=True):
    """Hold a URL that may be sent to, and the judged addresses of its host, in the order to try them.

    ``proxy_addresses``: sockets are opened to these instead, and the proxy is given one of ``addresses``.
    """

    endpoint: Endpoint
    addresses: tuple[str, ...]
    proxy_addresses: tuple[str, ...] = ()


class RequestRoute:
    """Say where a request goes. Connections whose ``key`` is equal carry each other's requests.

    ``host``: for SNI and the certificate. ``certificate``: to show where the endpoint asks for one. One
    ``is_single_use`` gets a connection of its own, which is not kept and resumes no TLS session.
    """

    __slots__ = ("certificate", "host", "is_single_use", "is_tls", "key", "where")

    def __init__(self, where: PinnedUrl, certificate: ClientCertificate | None, *, is_single_use: bool = False) -> None:
        endpoint = where.endpoint
        self.where = where
        self.host = endpoint.host
        self.is_tls = endpoint.scheme == HTTPS
        self.certificate = certificate if self.is_tls else None
        self.is_single_use = is_single_use
        self.key: tuple[object, ...] = () if is_single_use else (
            self.is_tls, endpoint.host, endpoint.port, where.addresses, where.proxy_addresses, self.certificate,
        )  # fmt: skip


class Refused(Struct, frozen=True):
    """Say why a URL may not, or cannot, be sent to. ``detail`` never names an address."""

    failure: FailureKind
    detail: str


class _Lookup(Struct, frozen=True):
    """Hold the result of a look-up: addresses or a refusal; ``until``: the egress's seconds up to which it counts.

    ``organization_id``: who asked for it.
    """

    addresses: tuple[str, ...]
    refused: Refused | None
    until: float
    organization_id: str = ""


_BUSY: Final = Refused(FailureKind.SHORTAGE, "packhook could not look the host name up: too many look-ups hang")
_SLOW: Final = Refused(FailureKind.DNS, "looking up the host name took too long: check that its name servers answer")
_BLOCKED: Final = Refused(FailureKind.BLOCKED, REFUSAL)


class Egress:
    """Decide for each URL whether it may be connected to, and at which addresses.

    ``allow``: networks that are open although the deny table has them. ``resolve`` and ``seconds`` (a monotonic clock)
    are seams for tests. ``proxy``: the proxy that every connection goes through.
    """

    proxy: Proxy | None = None

    def __init__(
        self,
        allow: tuple[Network, ...] = (),
        *,
        allow_http: bool = False,
        resolve: Resolve | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow = allow
        self._allow_http = allow_http
        self._resolve = resolve or SystemResolver()
        self._seconds = seconds
        self._parse = lru_cache(MAX_CACHED)(self._parse_url)
        self._cache: dict[str, _Lookup] = {}
        self._lookups: dict[str, asyncio.Task[_Lookup]] = {}
        self._cached = FairShare(MAX_CACHED, "")
        self._under_way = FairShare(MAX_LOOKUPS, "")

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Return what :meth:`check` would, or None where that needs a look-up."""
        parsed = self._parse(url)
        if not isinstance(parsed, Endpoint):
            return parsed
        found = self._cache.get(parsed.host)
        if found is None or found.until < self._seconds():
            return None
        return found.refused or PinnedUrl(parsed, found.addresses)

    async def check(self, url: str, limit: int = LOOKUP_LIMIT, organization_id: str = "") -> PinnedUrl | Refused:
        """Return the addresses to connect to, or the refusal; a look-up takes at most ``limit`` and 5,000 milliseconds.

        A refusal is ``BLOCKED`` with one and the same text for every denied address, ``DNS`` for a name that has none,
        ``SHORTAGE`` where the organization has as many look-ups under way as are free.
        """
        return self.check_cached(url) or await self._look_up(url, limit, organization_id)

    async def _look_up(self, url: str, limit: int, organization_id: str) -> PinnedUrl | Refused:
        endpoint = self._parse(url)
        assert isinstance(endpoint, Endpoint)  # noqa: S101 anything else needs no look-up
        lookup = self._shared_lookup(endpoint, organization_id)
        if lookup is None:
            return _BUSY
        await asyncio.wait([lookup], timeout=min(limit, LOOKUP_LIMIT) / SECOND)
        if not lookup.done() or lookup.cancelled():
            return _SLOW
        found = lookup.result()
        return found.refused or PinnedUrl(endpoint, found.addresses)

    def may_open(self, address: str, port: int) -> bool:  # noqa: ARG002 a proxied egress judges the port
        """Return whether a socket to this very address (as text) may be opened."""
        try:
            return may_connect(ipaddress.ip_address(address), self._allow)
        except ValueError:
            return False

    async def close(self) -> None:
        """Cancel the look-ups under way. A thread that hangs in one is left alone and delays nothing."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _parse_url(self, url: str) -> Endpoint | PinnedUrl | Refused:
        try:
            endpoint = parse_endpoint(url, allow_http=self._allow_http)
        except InvalidEndpoint as error:
            return Refused(FailureKind.BLOCKED, str(error))
        if endpoint.address is None:
            return endpoint
        if may_connect(endpoint.address, self._allow):
            return PinnedUrl(endpoint, (str(endpoint.address),))
        return _BLOCKED

    def _shared_lookup(self, endpoint: Endpoint, organization_id: str) -> "asyncio.Task[_Lookup] | None":
        """Return the look-up of this name that is under way, or start one: at most one runs, however long it hangs.

        None where the organization has as many under way as are free: half of all if it is alone.
        """
        host = endpoint.host
        lookup = self._lookups.get(host)
        if lookup is None:
            if not self._under_way.try_acquire(organization_id):
                return None
            resolving = self._resolve_and_judge(host, endpoint.port, organization_id)
            lookup = asyncio.get_running_loop().create_task(resolving)
            lookup.add_done_callback(lambda _: self._forget(host, organization_id))
            self._lookups[host] = lookup
        return lookup

    def _forget(self, host: str, organization_id: str) -> None:
        del self._lookups[host]
        self._under_way.release(organization_id)

    async def _resolve_and_judge(self, host: str, port: int, organization_id: str) -> _Lookup:
        try:
            addresses = await self._resolve(host, port)
        except ResolverBusy:
            return _Lookup((), _BUSY, 0.0)
        except OSError as error:
            refused = Refused(FailureKind.DNS, _DNS_ERRORS.get(error.errno or 0, _NO_ADDRESS))
            found = _Lookup((), refused, self._seconds() + KEPT_SECONDS, organization_id)
        else:
            until = self._seconds() + KEPT_SECONDS
            found = _Lookup(tuple(map(str, addresses)), self._judge(addresses), until, organization_id)
        self._store(host, found)
        return found

    def _judge(self, addresses: Sequence[Address]) -> Refused | None:
        if not addresses:
            return Refused(FailureKind.DNS, _NO_ADDRESS)
        return None if all(may_connect(address, self._allow) for address in addresses) else _BLOCKED

    def _store(self, host: str, found: _Lookup) -> None:
        """Cache a look-up, unless its organization has as many cached as are free."""
        now = self._seconds()
        while self._cache and next(iter(self._cache.values())).until < now:  # the oldest is the first
            self._drop(next(iter(self._cache)))
        self._drop(host)
        if self._cached.try_acquire(found.organization_id):
            self._cache[host] = found

    def _drop(self, host: str) -> None:
        dropped = self._cache.pop(host, None)
        if dropped is not None:
            self._cached.release(dropped.organization_id)
