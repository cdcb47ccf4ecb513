"""The same hosts with the operator's proxy between: what the proxy is told, and which sockets are opened."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Final

from packhook.cli.selftest.egress import DENIED, Answers, Seconds
from packhook.cli.selftest.rows import Row, row
from packhook.cli.selftest.spellings import BAD, GOOD_IPV4, HOSTILE, allowed_ends, as_answers, denied_ends, in_url
from packhook.core.egress_proxy import parse_proxy
from packhook.core.endpoint import parse_endpoint
from packhook.core.ip_policy import Address
from packhook.core.model import FailureKind, Outcome, Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import PinnedUrl, Refused
from packhook.delivery.http.egress_proxy import ProxiedEgress
from packhook.delivery.http.resolver import Resolve
from packhook.testing import ConnectProxy, Receiver

_UNHEARD: Final = "refused, the proxy heard nothing"
_HERE: Final = "127.0.0.1"
_NAME: Final = "proxy.test"
_TIMEOUT: Final = 2_000


class _Names:
    """A resolver that knows the proxy, and of everything else the next of these answers."""

    def __init__(self, *answers: Sequence[str | Address]) -> None:
        self._proxy = Answers([_HERE])
        self._others = Answers(*answers)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of a name."""
        return await (self._proxy if host == _NAME else self._others)(host, port)


class _Watched(ProxiedEgress):
    """An egress through the proxy; with a ``pin``, its check lets all pass and says that the proxy is there."""

    def __init__(self, proxy: ConnectProxy, resolve: Resolve, seconds: Seconds, pin: str = "") -> None:
        super().__init__(parse_proxy(proxy.url), allow_http=True, resolve=resolve, seconds=seconds)
        self.opening: list[tuple[str, int]] = []
        self._pin = pin

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """As ever, unless it is careless."""
        known = super().check_cached(url)
        if not self._pin or known is None:
            return known
        return PinnedUrl(parse_endpoint(url, allow_http=True), (GOOD_IPV4,), (self._pin,))

    def may_open(self, address: str, port: int) -> bool:
        """As ever, but remembered."""
        self.opening.append((address, port))
        return super().may_open(address, port)


async def proxied() -> list[Row]:
    """Every row, in the order of the table; the proxy's tunnels all lead to one receiver on loopback."""
    async with Receiver() as receiver, ConnectProxy(lambda _host, _port: (_HERE, receiver.port), hostname=_NAME) as to:
        return [
            *await _refused(to, ((host, host) for hosts in HOSTILE.values() for host in hosts)),
            *await _refused(to, ((f"{address}, {what}", in_url(address)) for what, address in denied_ends())),
            *await _answered(to, (*denied_ends(), *as_answers())),
            *await _told_addresses(to, allowed_ends()),
            *[await _rebound(to, address) for address in BAD],
            *[await _guarded(to, address) for address in BAD],
        ]


async def _refused(proxy: ConnectProxy, hosts: Iterable[tuple[str, str]]) -> list[Row]:
    return [
        row("proxy", what, _UNHEARD, await _happened(proxy, f"http://{host}/", [GOOD_IPV4])) for what, host in hosts
    ]


async def _answered(proxy: ConnectProxy, addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    rows = []
    for what, address in addresses:
        happened = await _happened(proxy, "http://shop.test/", [GOOD_IPV4, address])
        rows.append(row("proxy", f"shop.test -> a good address and {address}, {what}", _UNHEARD, happened))
    return rows


async def _told_addresses(proxy: ConnectProxy, addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    rows = []
    for what, address in addresses:
        happened = await _happened(proxy, "http://shop.test/", [address])
        expected = f"CONNECT {in_url(address)}:80, answer 200"
        rows.append(row("proxy", f"shop.test -> {address}, {what}", expected, happened))
    return rows


async def _rebound(proxy: ConnectProxy, address: str) -> Row:
    """Its tunnel to the good address is open, and stays; the name's new answer is what counts."""
    seconds = Seconds()
    egress = _Watched(proxy, _Names([GOOD_IPV4], [address]), seconds)
    sender = await _opened(egress)
    first = await _sent(proxy, sender, egress, "http://shop.test/")
    seconds.let_answers_expire()
    second = await _sent(proxy, sender, egress, "http://shop.test/")
    await sender.close()
    what = f"an open tunnel, its name rebound to {address}"
    return row("proxy", what, f"CONNECT {GOOD_IPV4}:80, answer 200, {_UNHEARD}", f"{first}, {second}")


async def _guarded(proxy: ConnectProxy, address: str) -> Row:
    """The check lets everything pass and pins the proxy elsewhere: the guard of the socket itself refuses."""
    there = address if address != _HERE else "127.0.0.2"
    egress = _Watched(proxy, _Names([GOOD_IPV4]), Seconds(), pin=there)
    await egress.check("http://shop.test/")
    sender = await _opened(egress)
    outcome = await sender.send(_request("http://shop.test/"))
    await sender.close()
    opening = [(ip_address(host), port) for host, port in egress.opening]
    blocked = outcome.failure is FailureKind.BLOCKED and opening == [(ip_address(there), proxy.port)]
    happened = f"refused: {outcome.detail}" if blocked else _told(outcome)
    return row("proxy", f"a socket for {there} that the check let pass as the proxy's", DENIED, happened)


async def _happened(proxy: ConnectProxy, url: str, answer: Sequence[str | Address]) -> str:
    egress = _Watched(proxy, _Names(answer), Seconds())
    sender = await _opened(egress)
    told = await _sent(proxy, sender, egress, url)
    await sender.close()
    return told


async def _sent(proxy: ConnectProxy, sender: HttpClient, egress: _Watched, url: str) -> str:
    """What the proxy heard of one request, what came of it, and every socket that was not to the proxy."""
    asked, connections = len(proxy.asked), proxy.connections_made
    egress.opening.clear()
    outcome = await sender.send(_request(url))
    heard = [f"CONNECT {each.to}" for each in proxy.asked[asked:]]
    unheard = not heard and proxy.connections_made == connections
    elsewhere = [f"a socket for {place}" for place in egress.opening if place != (_HERE, proxy.port)]
    if outcome.failure is FailureKind.BLOCKED and unheard and not egress.opening:
        return _UNHEARD
    return ", ".join([*heard, _told(outcome), *elsewhere])


def _told(outcome: Outcome) -> str:
    return f"answer {outcome.status_code}" if outcome.failure is None else f"{outcome.failure}: {outcome.detail}"


async def _opened(egress: _Watched) -> HttpClient:
    sender = HttpClient(egress)
    await sender.open()
    return sender


def _request(url: str) -> Request:
    return Request(url=url, headers="content-type: application/json\r\n", body=b"{}", timeout=_TIMEOUT)
