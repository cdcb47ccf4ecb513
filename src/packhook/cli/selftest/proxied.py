"""Try the same hosts through the operator's proxy: the addresses it receives, and the sockets that are opened."""

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

_NOT_SENT: Final = "refused, the proxy received nothing"
_HERE: Final = "127.0.0.1"
_NAME: Final = "proxy.test"
_TIMEOUT: Final = 2_000


class _Names:
    """Resolve the proxy's name to it, and every other to the next of these answers."""

    def __init__(self, *answers: Sequence[str | Address]) -> None:
        self._proxy = Answers([_HERE])
        self._others = Answers(*answers)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a name."""
        return await (self._proxy if host == _NAME else self._others)(host, port)


class _Watched(ProxiedEgress):
    """Record the sockets that are asked for; with ``pin``, let every URL pass, with that as the proxy's address."""

    def __init__(self, proxy: ConnectProxy, resolve: Resolve, seconds: Seconds, pin: str = "") -> None:
        super().__init__(parse_proxy(proxy.url), allow_http=True, resolve=resolve, seconds=seconds)
        self.opening: list[tuple[str, int]] = []
        self._pin = pin

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Return the pinned address where there is one."""
        known = super().check_cached(url)
        if not self._pin or known is None:
            return known
        return PinnedUrl(parse_endpoint(url, allow_http=True), (GOOD_IPV4,), (self._pin,))

    def may_open(self, address: str, port: int) -> bool:
        """Record, then judge."""
        self.opening.append((address, port))
        return super().may_open(address, port)


async def proxied() -> list[Row]:
    """Return every row, in the order of the table; all tunnels lead to one receiver on loopback."""
    async with Receiver() as receiver, ConnectProxy(lambda _host, _port: (_HERE, receiver.port), hostname=_NAME) as to:
        return [
            *await _refused(to, ((host, host) for hosts in HOSTILE.values() for host in hosts)),
            *await _refused(to, ((f"{address}, {what}", in_url(address)) for what, address in denied_ends())),
            *await _answered(to, (*denied_ends(), *as_answers())),
            *await _targets(to, allowed_ends()),
            *[await _rebound(to, address) for address in BAD],
            *[await _guarded(to, address) for address in BAD],
        ]


async def _refused(proxy: ConnectProxy, hosts: Iterable[tuple[str, str]]) -> list[Row]:
    return [
        row("proxy", what, _NOT_SENT, await _happened(proxy, f"http://{host}/", [GOOD_IPV4])) for what, host in hosts
    ]


async def _answered(proxy: ConnectProxy, addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    rows = []
    for what, address in addresses:
        happened = await _happened(proxy, "http://shop.test/", [GOOD_IPV4, address])
        rows.append(row("proxy", f"shop.test -> a good address and {address}, {what}", _NOT_SENT, happened))
    return rows


async def _targets(proxy: ConnectProxy, addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    rows = []
    for what, address in addresses:
        happened = await _happened(proxy, "http://shop.test/", [address])
        expected = f"CONNECT {in_url(address)}:80, response 200"
        rows.append(row("proxy", f"shop.test -> {address}, {what}", expected, happened))
    return rows


async def _rebound(proxy: ConnectProxy, address: str) -> Row:
    """Rebind a name whose tunnel to the good address is open and stays: the new address decides."""
    seconds = Seconds()
    egress = _Watched(proxy, _Names([GOOD_IPV4], [address]), seconds)
    client = await _opened(egress)
    first = await _sent(proxy, client, egress, "http://shop.test/")
    seconds.let_answers_expire()
    second = await _sent(proxy, client, egress, "http://shop.test/")
    await client.close()
    what = f"an open tunnel, its name rebound to {address}"
    return row("proxy", what, f"CONNECT {GOOD_IPV4}:80, response 200, {_NOT_SENT}", f"{first}, {second}")


async def _guarded(proxy: ConnectProxy, address: str) -> Row:
    """Let every URL pass, with the proxy elsewhere: the check before the connect still refuses."""
    there = address if address != _HERE else "127.0.0.2"
    egress = _Watched(proxy, _Names([GOOD_IPV4]), Seconds(), pin=there)
    await egress.check("http://shop.test/")
    client = await _opened(egress)
    outcome = await client.send(_request("http://shop.test/"))
    await client.close()
    opening = [(ip_address(host), port) for host, port in egress.opening]
    blocked = outcome.failure is FailureKind.BLOCKED and opening == [(ip_address(there), proxy.port)]
    happened = f"refused: {outcome.detail}" if blocked else _words(outcome)
    return row("proxy", f"a socket for {there} that the check let pass as the proxy's", DENIED, happened)


async def _happened(proxy: ConnectProxy, url: str, answer: Sequence[str | Address]) -> str:
    egress = _Watched(proxy, _Names(answer), Seconds())
    client = await _opened(egress)
    happened = await _sent(proxy, client, egress, url)
    await client.close()
    return happened


async def _sent(proxy: ConnectProxy, client: HttpClient, egress: _Watched, url: str) -> str:
    """Send a request; return what the proxy received, the outcome, and every socket that was not to the proxy."""
    asked, connections = len(proxy.asked), proxy.connections_made
    egress.opening.clear()
    outcome = await client.send(_request(url))
    targets = [f"CONNECT {connect.to}" for connect in proxy.asked[asked:]]
    is_untouched = not targets and proxy.connections_made == connections
    elsewhere = [f"a socket for {place}" for place in egress.opening if place != (_HERE, proxy.port)]
    if outcome.failure is FailureKind.BLOCKED and is_untouched and not egress.opening:
        return _NOT_SENT
    return ", ".join([*targets, _words(outcome), *elsewhere])


def _words(outcome: Outcome) -> str:
    return f"response {outcome.status_code}" if outcome.failure is None else f"{outcome.failure}: {outcome.detail}"


async def _opened(egress: _Watched) -> HttpClient:
    client = HttpClient(egress)
    await client.open()
    return client


def _request(url: str) -> Request:
    return Request(url=url, headers="content-type: application/json\r\n", body=b"{}", timeout=_TIMEOUT)
