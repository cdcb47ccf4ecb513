"""Egress through the operator's proxy: endpoints are judged as ever, sockets are opened to the proxy alone.

::

    url ─ judged by its own addresses (egress.py) ─▶ Refused
                       │
                       └─▶ CONNECT to one of the judged addresses, through a socket to the proxy and to nothing else

The proxy is told an address, never a name: what it would resolve a name to, nobody here has judged. ``Host``, SNI and
the certificate keep the name.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from typing import Final

from packhook.core.egress_proxy import Proxy
from packhook.core.ip_policy import Address, Network
from packhook.core.model import FailureKind
from packhook.delivery.egress import LOOKUP_LIMIT, Checked, Egress, Refused
from packhook.delivery.resolve import Resolve
from packhook.settings import Settings

MOST_ADDRESSES: Final = 3
_EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_NOT_FOUND: Final = "packhook's proxy could not be found: its host name has no address, or was not looked up in time"


class ProxiedEgress(Egress):
    """An egress whose only sockets are to ``proxy``, wherever that is: the operator has named it."""

    def __init__(
        self,
        proxy: Proxy,
        allow: tuple[Network, ...] = (),
        *,
        allow_http: bool = False,
        resolve: Resolve | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``resolve`` looks up endpoints and the proxy."""
        super().__init__(allow, allow_http=allow_http, resolve=resolve, seconds=seconds)
        self.proxy: Proxy = proxy
        self._way = Egress(_EVERYWHERE, allow_http=True, resolve=resolve, seconds=seconds)
        self._addresses = ""
        self._places: frozenset[Address] = frozenset()

    def known(self, url: str) -> Checked | Refused | None:
        """What is known without a look-up, of the endpoint and of the proxy."""
        where = super().known(url)
        if not isinstance(where, Checked):
            return where
        way = self._way.known(self.proxy.url)
        return None if way is None else self._through(where, way)

    async def check(self, url: str, limit: int = LOOKUP_LIMIT) -> Checked | Refused:
        """Whether the URL may be sent to, and what the proxy is told; ``PROXY`` where it cannot be found."""
        where, way = await asyncio.gather(self._judge(url, limit), self._way.check(self.proxy.url, limit))
        return where if isinstance(where, Refused) else self._through(where, way)

    def may_open(self, address: str, port: int) -> bool:
        """Whether a socket is one to the proxy."""
        try:
            return port == self.proxy.port and ipaddress.ip_address(address) in self._places
        except ValueError:
            return False

    async def close(self) -> None:
        """End the look-ups under way."""
        await super().close()
        await self._way.close()

    async def _judge(self, url: str, limit: int) -> Checked | Refused:
        return super().known(url) or await self._look_up(url, limit)

    def _through(self, where: Checked, way: Checked | Refused) -> Checked | Refused:
        if isinstance(way, Refused):
            return Refused(FailureKind.PROXY, _NOT_FOUND)
        if way.addresses != self._addresses:
            self._addresses = way.addresses
            self._places = frozenset(map(ipaddress.ip_address, way.addresses.split(",")))
        return Checked(where.url, way.pin, to=_told(where.addresses))


def _told(addresses: str) -> tuple[str, ...]:
    """What stands in CONNECT, one after the other: IPv4 first, for a proxy without IPv6 is more likely than the other.

    Empty host and port are any host, and the request's own port.
    """
    told = sorted(addresses.split(","), key=lambda address: ":" in address)
    return tuple(f"::[{each}]:" if ":" in each else f"::{each}:" for each in told[:MOST_ADDRESSES])


def open_egress(settings: Settings) -> Egress:
    """The egress that the operator decided on."""
    if settings.egress_proxy is None:
        return Egress(settings.egress_allow, allow_http=settings.allow_http)
    return ProxiedEgress(settings.egress_proxy, settings.egress_allow, allow_http=settings.allow_http)
