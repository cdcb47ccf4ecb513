"""Send through the operator's proxy: endpoints are judged as without one, and sockets are opened to it alone.

::

    url ─ judged by its own addresses (egress.py) ─▶ Refused
                       │
                       └─▶ CONNECT to one of the judged addresses, through a socket to the proxy and to nothing else

The proxy is given an address, never a name: what it would resolve a name to was not judged. ``Host``, SNI and the
certificate keep the name.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from typing import Final

from packhook.core.egress_proxy import Proxy
from packhook.core.ip_policy import Address, Network
from packhook.core.model import FailureKind
from packhook.delivery.http.egress import LOOKUP_LIMIT, Egress, PinnedUrl, Refused
from packhook.delivery.http.resolver import Resolve
from packhook.settings import Settings

MAX_ADDRESSES: Final = 3
_EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_NOT_FOUND: Final = Refused(
    FailureKind.PROXY,
    "packhook's proxy could not be found: its host name has no address, or was not looked up in time",
)


class ProxiedEgress(Egress):
    """Judge endpoints as an Egress does, and open sockets to ``proxy`` alone, wherever the operator has it."""

    def __init__(
        self,
        proxy: Proxy,
        allow: tuple[Network, ...] = (),
        *,
        allow_http: bool = False,
        resolve: Resolve | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use ``resolve`` for endpoints and for the proxy."""
        super().__init__(allow, allow_http=allow_http, resolve=resolve, seconds=seconds)
        self.proxy: Proxy = proxy
        self._proxy_egress = Egress(_EVERYWHERE, allow_http=True, resolve=resolve, seconds=seconds)
        self._proxy_texts: tuple[str, ...] = ()
        self._proxy_addresses: frozenset[Address] = frozenset()

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Return what :meth:`check` would, or None where the endpoint or the proxy has to be looked up."""
        target = super().check_cached(url)
        if not isinstance(target, PinnedUrl):
            return target
        proxy = self._proxy_egress.check_cached(self.proxy.url)
        return None if proxy is None else self._combine(target, proxy)

    async def check(self, url: str, limit: int = LOOKUP_LIMIT, organization_id: str = "") -> PinnedUrl | Refused:
        """Return the addresses to give to the proxy, or the refusal; ``PROXY`` where the proxy cannot be found."""
        target, proxy = await asyncio.gather(
            self._check_endpoint(url, limit, organization_id), self._proxy_egress.check(self.proxy.url, limit)
        )
        return target if isinstance(target, Refused) else self._combine(target, proxy)

    def may_open(self, address: str, port: int) -> bool:
        """Return whether a socket leads to the proxy."""
        try:
            return port == self.proxy.port and ipaddress.ip_address(address) in self._proxy_addresses
        except ValueError:
            return False

    async def close(self) -> None:
        """Cancel the look-ups under way."""
        await super().close()
        await self._proxy_egress.close()

    async def _check_endpoint(self, url: str, limit: int, organization_id: str) -> PinnedUrl | Refused:
        return super().check_cached(url) or await self._look_up(url, limit, organization_id)

    def _combine(self, target: PinnedUrl, proxy: PinnedUrl | Refused) -> PinnedUrl | Refused:
        if isinstance(proxy, Refused):
            return _NOT_FOUND
        if proxy.addresses != self._proxy_texts:
            self._proxy_texts = proxy.addresses
            self._proxy_addresses = frozenset(map(ipaddress.ip_address, proxy.addresses))
        return PinnedUrl(target.endpoint, _ipv4_first(target.addresses), self._proxy_texts)


def _ipv4_first(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return at most three: IPv4 first, for a proxy without IPv6 is more likely than one without IPv4."""
    return tuple(sorted(addresses, key=lambda address: ":" in address)[:MAX_ADDRESSES])


def open_egress(settings: Settings) -> Egress:
    """Return the egress that the settings describe."""
    if settings.egress_proxy is None:
        return Egress(settings.egress_allow, allow_http=settings.allow_http)
    return ProxiedEgress(settings.egress_proxy, settings.egress_allow, allow_http=settings.allow_http)
