"""Where we may connect: resolve once, refuse if any address is denied, pin what was judged.

::

    url ─ read (parsed once, remembered) ─┬─ literal: judged at once, no DNS ─────────────┬─▶ Checked | Refused
                                          └─ name: one look-up, every address is judged ──┘
                                             (shared while under way, kept for some seconds)

The sender pins the connection to the addresses of ``Checked``, and asks :meth:`Egress.may_open` again for each socket.
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
from packhook.core.ip_policy import Address, Network, may_connect
from packhook.core.model import FailureKind
from packhook.delivery.resolve import NoPlace, Resolve, SystemResolver

REFUSAL: Final = "the endpoint's address may not be connected to"
LOOKUP_LIMIT: Final = 5 * SECOND
KEPT_SECONDS: Final = 5.0
REMEMBERED: Final = 10_000

_WORDS: Final = {
    socket.EAI_NONAME: "the host name does not exist: check the endpoint's spelling and its DNS records",
    socket.EAI_AGAIN: "the host name could not be looked up: its name servers did not answer",
}
_NO_ADDRESS: Final = "the host name has no address: check its DNS records"


class Checked(Struct, frozen=True):
    """A URL that may be sent to: the rebuilt text, and its host pinned to addresses (for ``CURLOPT_RESOLVE``).

    ``addresses``: the same, with commas between. ``to``: what a proxy is told to connect to in place of the host, one
    after the other (for ``CURLOPT_CONNECT_TO``); the pin is the proxy's then.
    """

    url: str
    pin: str
    addresses: str = ""
    to: tuple[str, ...] = ()


class Refused(Struct, frozen=True):
    """A URL that may not, or cannot, be sent to. ``detail`` never tells an address."""

    trouble: FailureKind
    detail: str


class _Answer(Struct, frozen=True):
    """What a look-up came to (addresses with commas between), and until when (the egress's seconds) it counts."""

    addresses: str
    refused: Refused | None
    until: float


_NO_PLACE: Final = Refused(FailureKind.INTERNAL, "packhook could not look the host name up: too many look-ups hang")
_BLOCKED: Final = Refused(FailureKind.BLOCKED, REFUSAL)


class Egress:
    """Decides for each URL whether it may be connected to, and at which addresses. ``proxy``: through which proxy.

    ``allow``: networks that are open although the deny table has them. ``resolve`` and ``seconds`` (a monotonic clock)
    are seams for tests.
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
        self._read = lru_cache(REMEMBERED)(self._read_url)
        self._answers: dict[str, _Answer] = {}
        self._lookups: dict[str, asyncio.Task[_Answer]] = {}

    def known(self, url: str) -> Checked | Refused | None:
        """What is known without a look-up; None where one is needed. The quick way of :meth:`check`."""
        read = self._read(url)
        if not isinstance(read, Endpoint):
            return read
        answer = self._answers.get(read.host)
        if answer is None or answer.until < self._seconds():
            return None
        return _judged(read, answer)

    async def check(self, url: str, limit: int = LOOKUP_LIMIT) -> Checked | Refused:
        """Whether the URL may be sent to, and where that is; a look-up takes at most ``limit`` and 5,000 milliseconds.

        Trouble is a value: ``BLOCKED`` with one and the same text for every denied address, ``DNS`` for a name that
        has none.
        """
        return self.known(url) or await self._look_up(url, limit)

    async def _look_up(self, url: str, limit: int) -> Checked | Refused:
        endpoint = self._read(url)
        assert isinstance(endpoint, Endpoint)  # noqa: S101 anything else is known
        lookup = self._lookup(endpoint)
        await asyncio.wait([lookup], timeout=min(limit, LOOKUP_LIMIT) / SECOND)
        if not lookup.done() or lookup.cancelled():
            return Refused(
                FailureKind.DNS, "looking up the host name took too long: check that its name servers answer"
            )
        return _judged(endpoint, lookup.result())

    def may_open(self, address: str, port: int) -> bool:  # noqa: ARG002 where there is a proxy, its port counts
        """Whether a socket to this very address (as text) may be opened."""
        try:
            return may_connect(ipaddress.ip_address(address), self._allow)
        except ValueError:
            return False

    async def close(self) -> None:
        """End the look-ups under way. A thread that hangs in one is left to itself; it holds nothing up."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _read_url(self, url: str) -> Endpoint | Checked | Refused:
        try:
            endpoint = parse_endpoint(url, allow_http=self._allow_http)
        except InvalidEndpoint as error:
            return Refused(FailureKind.BLOCKED, str(error))
        if endpoint.address is None:
            return endpoint
        if may_connect(endpoint.address, self._allow):
            return _pinned(endpoint, str(endpoint.address))
        return _BLOCKED

    def _lookup(self, endpoint: Endpoint) -> "asyncio.Task[_Answer]":
        """The look-up of this name that is under way, or a new one: however many ask, and however long it hangs."""
        lookup = self._lookups.get(endpoint.host)
        if lookup is None:
            lookup = asyncio.get_running_loop().create_task(self._ask(endpoint.host, endpoint.port))
            lookup.add_done_callback(lambda _: self._lookups.pop(endpoint.host))
            self._lookups[endpoint.host] = lookup
        return lookup

    async def _ask(self, host: str, port: int) -> _Answer:
        try:
            addresses = await self._resolve(host, port)
        except NoPlace:
            return _Answer("", _NO_PLACE, 0.0)
        except OSError as error:
            refused = Refused(FailureKind.DNS, _WORDS.get(error.errno or 0, _NO_ADDRESS))
            answer = _Answer("", refused, self._seconds() + KEPT_SECONDS)
        else:
            answer = _Answer(",".join(map(str, addresses)), self._objection(addresses), self._seconds() + KEPT_SECONDS)
        self._keep(host, answer)
        return answer

    def _objection(self, addresses: Sequence[Address]) -> Refused | None:
        if not addresses:
            return Refused(FailureKind.DNS, _NO_ADDRESS)
        return None if all(may_connect(address, self._allow) for address in addresses) else _BLOCKED

    def _keep(self, host: str, answer: _Answer) -> None:
        if len(self._answers) >= REMEMBERED:
            now = self._seconds()
            self._answers = {name: kept for name, kept in self._answers.items() if kept.until >= now}
        if len(self._answers) < REMEMBERED:
            self._answers[host] = answer


def _judged(endpoint: Endpoint, answer: _Answer) -> Checked | Refused:
    return answer.refused or _pinned(endpoint, answer.addresses)


def _pinned(endpoint: Endpoint, addresses: str) -> Checked:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return Checked(endpoint.url, f"+{host}:{endpoint.port}:{addresses}", addresses)
