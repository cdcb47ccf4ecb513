"""Test the guard with real requests to denied addresses, in a namespace from which nothing can be reached."""

import socket
from ipaddress import ip_network
from typing import Final

import pytest

from packhook.core.endpoint import parse_endpoint
from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http.egress import REFUSAL, PinnedUrl, Refused
from packhook.testing import Receiver, Status
from support.http_client import LOOPBACK, FakeDns, WatchedEgress, request_to, sending
from support.netns import only_loopback
from support.values import replaced

BLOCKED: Final = Outcome(failure=FailureKind.BLOCKED, detail=REFUSAL)
FOREIGN: Final = "93.184.216.34"
ONE_ADDRESS: Final = (ip_network("127.0.0.1/32"),)


class CarelessEgress(WatchedEgress):
    """Let every URL pass, with the addresses that a test sets: only the check before each connect protects."""

    addresses: tuple[str, ...] = ()

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Refuse nothing."""
        return PinnedUrl(parse_endpoint(url, allow_http=True), self.addresses)


def timeless(outcome: Outcome) -> Outcome:
    """Return the outcome without its duration."""
    return replaced(outcome, duration=0)


@only_loopback
async def test_the_namespace_has_no_route_to_other_hosts() -> None:
    """The other tests here rely on it."""
    with socket.socket() as client, pytest.raises(OSError, match="unreachable"):
        client.connect((FOREIGN, 80))


@only_loopback
async def test_denied_literal_opens_no_socket() -> None:
    """Loopback, private, link-local and mapped addresses are refused before any socket is opened."""
    hosts = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "0.0.0.0")  # noqa: S104 refused
    egress = WatchedEgress(allow_http=True)
    async with Receiver() as receiver, sending(egress) as client:
        outcomes = [await client.send(request_to(f"http://{host}:{receiver.port}/")) for host in hosts]
    assert [timeless(outcome) for outcome in outcomes] == [BLOCKED] * len(hosts)
    assert (egress.opening, receiver.connections_made) == ((), 0)


@only_loopback
async def test_name_with_a_denied_address_opens_no_socket() -> None:
    """Not even to its good address."""
    egress = WatchedEgress(ONE_ADDRESS, allow_http=True, resolve=FakeDns(("127.0.0.1", "10.0.0.1")))
    async with Receiver() as receiver, sending(egress) as client:
        outcome = await client.send(request_to(f"http://shop.test:{receiver.port}/"))
    assert timeless(outcome) == BLOCKED
    assert (egress.opening, receiver.connections_made) == ((), 0)


@only_loopback
async def test_rebound_name_is_refused_although_its_connection_is_open() -> None:
    """The first address was good and its connection is kept; the second address decides."""
    now = [0.0]
    dns = FakeDns(("127.0.0.1",), ("169.254.169.254",))
    egress = WatchedEgress(ONE_ADDRESS, allow_http=True, resolve=dns, seconds=lambda: now[0])
    async with Receiver() as receiver, sending(egress) as client:
        url = f"http://shop.test:{receiver.port}/"
        assert (await client.send(request_to(url))).status_code == 200
        now[0] += 60
        assert timeless(await client.send(request_to(url))) == BLOCKED
    assert (egress.opening, len(receiver.received)) == (("127.0.0.1",), 1)


@only_loopback
async def test_new_pin_replaces_the_old_one() -> None:
    """A name that moved is connected to at its new address."""
    now = [0.0]
    dns = FakeDns(("127.0.0.1",), ("127.0.0.2",))
    egress = WatchedEgress(LOOPBACK, allow_http=True, resolve=dns, seconds=lambda: now[0])
    async with Receiver(Status(close=True)) as old, Receiver(address="127.0.0.2", port=old.port) as new:
        async with sending(egress) as client:
            await client.send(request_to(f"http://shop.test:{old.port}/"))
            now[0] += 60
            await client.send(request_to(f"http://shop.test:{old.port}/"))
        assert (egress.opening, len(old.received), len(new.received)) == (("127.0.0.1", "127.0.0.2"), 1, 1)


@only_loopback
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("[::1]", ("::1",)),
        ("[::ffff:127.0.0.1]", ("::ffff:127.0.0.1",)),
        ("shop.test", ("127.0.0.1",)),
        ("shop.test", ("::1", "127.0.0.1")),
    ],
)
async def test_the_guard_refuses_the_socket_after_a_passed_check(host: str, addresses: tuple[str, ...]) -> None:
    """Each socket is checked by its own address, even if the URL passed."""
    egress = CarelessEgress((ip_network("192.0.2.0/24"),), allow_http=True)
    async with Receiver() as receiver, sending(egress) as client:
        egress.addresses = addresses
        outcome = await client.send(request_to(f"http://{host}:{receiver.port}/"))
    assert timeless(outcome) == BLOCKED
    assert (len(egress.opening), receiver.connections_made) == (len(addresses), 0)


@only_loopback
async def test_the_guard_allows_a_public_address() -> None:
    """It is called and agrees; only the namespace prevents the connection."""
    egress = WatchedEgress(allow_http=True)
    async with sending(egress) as client:
        outcome = await client.send(request_to(f"http://{FOREIGN}/"))
    assert timeless(outcome) == Outcome(
        failure=FailureKind.CONNECT,
        detail="the endpoint's network cannot be reached: check that its DNS records are right",
    )
    assert egress.opening == (FOREIGN,)


@only_loopback
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "shop.test"])
async def test_host_without_an_address_is_not_looked_up_by_the_client(host: str) -> None:
    """The system's resolver would bypass the check, so the request fails with an internal error instead."""
    egress = CarelessEgress(LOOPBACK, allow_http=True)
    async with Receiver() as receiver, sending(egress) as client:
        outcome = await client.send(request_to(f"http://{host}:{receiver.port}/"))
    detail = "packhook lost the checked address of this request"
    assert timeless(outcome) == Outcome(failure=FailureKind.INTERNAL, detail=detail)
    assert (egress.opening, receiver.connections_made) == ((), 0)
