"""Send to the same hosts with the real client, in a namespace without a way out: which sockets are opened."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Final

from packhook.cli.selftest.egress import DENIED, Answers, Seconds
from packhook.cli.selftest.rows import Row, row
from packhook.cli.selftest.spellings import BAD, GOOD_IPV4, HOSTILE, allowed_ends, as_answers, denied_ends, in_url
from packhook.core.endpoint import parse_endpoint
from packhook.core.ip_policy import Address, Network
from packhook.core.model import FailureKind, Outcome, Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress, PinnedUrl, Refused
from packhook.delivery.http.resolver import Resolve
from packhook.testing import Receiver, Status

_NOTHING: Final = "refused, no socket opened"
_LOOPBACK: Final = ip_network("127.0.0.1/32")
_TIMEOUT: Final = 2_000


class WatchedEgress(Egress):
    """Record for which addresses a socket is asked for."""

    def __init__(
        self,
        *allow: Network,
        resolve: Resolve | None = None,
        seconds: Seconds | None = None,
        pin: tuple[str, ...] | None = None,
    ) -> None:
        """Let every URL pass with the addresses of ``pin``, if there are any: only the guard of each socket is left."""
        super().__init__(allow, allow_http=True, resolve=resolve, seconds=seconds or Seconds())
        self.opening: list[str] = []
        self._pin = pin

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Return the pinned addresses where there are some."""
        if self._pin is None:
            return super().check_cached(url)
        return PinnedUrl(parse_endpoint(url, allow_http=True), self._pin)

    def may_open(self, address: str, port: int) -> bool:
        """Record, then judge."""
        self.opening.append(address)
        return super().may_open(address, port)


async def sent() -> list[Row]:
    """Return every row, in the order of the table."""
    return [
        *await _refused("sent", ((host, host) for hosts in HOSTILE.values() for host in hosts)),
        *await _refused("sent", ((f"{address}, {what}", in_url(address)) for what, address in denied_ends())),
        *await _answered((*denied_ends(), *as_answers())),
        *await _opened(allowed_ends()),
        *[await _kept_and_rebound(address) for address in BAD],
        *[await _guarded(address) for address in BAD],
        await _unpinned(),
    ]


async def _refused(group: str, hosts: Iterable[tuple[str, str]]) -> list[Row]:
    rows = []
    for what, host in hosts:
        egress = WatchedEgress(resolve=Answers([GOOD_IPV4]))
        rows.append(row(group, what, _NOTHING, await _first(egress, f"http://{host}/")))
    return rows


async def _answered(addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    """Try each as an answer after a good one, which is not connected to either."""
    rows = []
    for what, address in addresses:
        egress = WatchedEgress(resolve=Answers([GOOD_IPV4, address]))
        happened = await _first(egress, "http://shop.test/")
        rows.append(row("sent", f"shop.test -> a good address and {address}, {what}", _NOTHING, happened))
    return rows


async def _opened(addresses: Iterable[tuple[str, Address]]) -> list[Row]:
    """Try good names: a socket is requested for the address itself, and for no other."""
    rows = []
    for what, address in addresses:
        egress = WatchedEgress(resolve=Answers([address]))
        await _first(egress, "http://shop.test/")
        happened = f"a socket for {', '.join(egress.opening)}"
        rows.append(row("sent", f"shop.test -> {address}, {what}", f"a socket for {address}", happened))
    return rows


async def _kept_and_rebound(address: str) -> Row:
    """Rebind a name whose connection to the good address is open and stays: the new address decides."""
    seconds = Seconds()
    egress = WatchedEgress(_LOOPBACK, resolve=Answers(["127.0.0.1"], _but_not_loopback(address)), seconds=seconds)
    async with Receiver(Status(200)) as receiver:
        client = await _opened_sender(egress)
        url = f"http://shop.test:{receiver.port}/"
        first = _words(await client.send(_request(url)), egress)
        seconds.let_answers_expire()
        egress.opening.clear()
        second = _words(await client.send(_request(url)), egress)
        await client.close()
    what = f"an open connection, its name rebound to {_but_not_loopback(address)[0]}"
    return row("kept connection", what, f"response 200, {_NOTHING}", f"{first}, {second}")


def _but_not_loopback(address: str) -> Sequence[str]:
    return ["127.0.0.2"] if address == "127.0.0.1" else [address]  # the receiver's own is allowed here


async def _guarded(address: str) -> Row:
    """Let every URL pass: the check before the connect still refuses."""
    egress = WatchedEgress(pin=(address,))
    client = await _opened_sender(egress)
    outcome = await client.send(_request("http://shop.test/"))
    await client.close()
    happened = f"refused: {outcome.detail}" if outcome.failure is FailureKind.BLOCKED else _words(outcome, egress)
    return row("guard", f"a socket for {address} that the check let pass", DENIED, happened)


async def _unpinned() -> Row:
    """Let a URL pass without an address: the client must not resolve its name."""
    egress = WatchedEgress(_LOOPBACK, pin=())
    happened = await _first(egress, "http://localhost/")
    return row(
        "guard", "localhost, which the check let pass without an address", "internal_error, no socket opened", happened
    )


async def _first(egress: WatchedEgress, url: str) -> str:
    client = await _opened_sender(egress)
    happened = _words(await client.send(_request(url)), egress)
    await client.close()
    return happened


async def _opened_sender(egress: Egress) -> HttpClient:
    client = HttpClient(egress)
    await client.open()
    return client


def _request(url: str) -> Request:
    return Request(url=url, headers="content-type: application/json\r\n", body=b"{}", timeout=_TIMEOUT)


def _words(outcome: Outcome, egress: WatchedEgress) -> str:
    if outcome.failure is None:
        return f"response {outcome.status_code}"
    what = "refused" if outcome.failure is FailureKind.BLOCKED else outcome.failure.value
    return f"{what}, {f'sockets for {egress.opening}' if egress.opening else 'no socket opened'}"
