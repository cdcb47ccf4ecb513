"""Whether a URL may be sent to, and where: decided before any connection, so nothing here connects to anything."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

import pytest

from packhook.core.endpoint import parse_endpoint
from packhook.core.ip_policy import Address
from packhook.core.model import FailureKind
from packhook.delivery.http import egress as egress_module
from packhook.delivery.http.egress import KEPT_SECONDS, REFUSAL, Egress, PinnedUrl, Refused
from sending import FakeDns

BLOCKED: Final = Refused(FailureKind.BLOCKED, REFUSAL)
SLOW: Final = Refused(FailureKind.DNS, "looking up the host name took too long: check that its name servers answer")
PUBLIC: Final = "93.184.216.34"
PUBLIC_IPV6: Final = "2606:2800:220:1::1"


class Seconds:
    """A monotonic clock that the test owns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The present instant."""
        return self.now


class HungDns:
    """A resolver that answers when it is let; it remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let = asyncio.Event()

    async def __call__(self, host: str, port: int) -> Sequence[Address]:  # noqa: ARG002 a resolver is given both
        """Answer once it is let."""
        self.asked.append(host)
        if host.startswith("hung"):
            await self.let.wait()
        return [ip_address(PUBLIC)]


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fe80::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://0.0.0.0/",
        "https://168.63.129.16/",
    ],
)
async def test_denied_literal_is_refused_without_a_look_up(url: str) -> None:
    """One and the same text, and no name server hears of it."""
    dns = FakeDns((PUBLIC,))
    assert await Egress(resolve=dns).check(url) == BLOCKED
    assert dns.asked == []


async def test_allowed_literal_needs_no_look_up() -> None:
    """A public address is its own pin."""
    dns = FakeDns((PUBLIC,))
    pinned = await Egress(resolve=dns).check(f"https://{PUBLIC}/hook")
    assert pinned == PinnedUrl(parse_endpoint(f"https://{PUBLIC}/hook", allow_http=False), (PUBLIC,))
    assert dns.asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("10.0.0.1",),
        (PUBLIC, "10.0.0.1"),
        ("127.0.0.1", PUBLIC),
        (PUBLIC, "::ffff:169.254.169.254"),
        (PUBLIC_IPV6, "fd00::1"),
        (PUBLIC, PUBLIC_IPV6, "::1"),
    ],
)
async def test_name_with_any_denied_address_is_refused(addresses: tuple[str, ...]) -> None:
    """One bad address among good ones is enough; the text is the same as for a literal."""
    assert await Egress(resolve=FakeDns(addresses)).check("https://shop.test/") == BLOCKED


async def test_name_is_pinned_to_its_addresses() -> None:
    """All of them, in the resolver's order."""
    url = "https://shop.test:8443/hook"
    pinned = await Egress(resolve=FakeDns((PUBLIC_IPV6, PUBLIC))).check(url)
    assert pinned == PinnedUrl(parse_endpoint(url, allow_http=False), (PUBLIC_IPV6, PUBLIC))


async def test_allowed_network_opens_what_it_names_and_nothing_else() -> None:
    """``egress_allow`` is for development and private networks."""
    egress = Egress((ip_network("10.1.0.0/16"),), resolve=FakeDns(("10.1.2.3",), ("10.2.2.3",)))
    assert isinstance(await egress.check("https://inner.test/"), PinnedUrl)
    assert await egress.check("https://outer.test/") == BLOCKED


async def test_plain_http_is_refused_unless_the_operator_allows_it() -> None:
    """With words of its own: it is the URL's form, not its address."""
    refused = await Egress().check(f"http://{PUBLIC}/")
    assert isinstance(refused, Refused)
    assert (refused.failure, "https" in refused.detail) == (FailureKind.BLOCKED, True)
    assert isinstance(await Egress(allow_http=True).check(f"http://{PUBLIC}/"), PinnedUrl)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the host name does not exist: check the endpoint's spelling and its DNS records",
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            "the host name could not be looked up: its name servers did not answer",
        ),
        (OSError("something else"), "the host name has no address: check its DNS records"),
        ((), "the host name has no address: check its DNS records"),
    ],
    ids=["no such name", "no answer", "other", "no address"],
)
async def test_name_without_an_address_is_told_in_plain_words(error: OSError | tuple[str, ...], words: str) -> None:
    """DNS trouble has a cause and a fix."""
    assert await Egress(resolve=FakeDns(error)).check("https://gone.test/") == Refused(FailureKind.DNS, words)


async def test_answer_counts_for_some_seconds_and_no_longer() -> None:
    """A busy lane does not look its name up for each attempt; a rebound name is seen, and refused, soon after."""
    seconds, dns = Seconds(), FakeDns((PUBLIC,), ("169.254.169.254",), (PUBLIC,))
    egress = Egress(resolve=dns, seconds=seconds)
    assert egress.check_cached("https://shop.test/") is None
    for _ in range(3):
        assert isinstance(await egress.check("https://shop.test/"), PinnedUrl)
    assert isinstance(egress.check_cached("https://shop.test/other"), PinnedUrl)
    seconds.now += KEPT_SECONDS + 0.001
    assert await egress.check("https://shop.test/") == BLOCKED
    seconds.now += KEPT_SECONDS + 0.001
    assert isinstance(await egress.check("https://shop.test/"), PinnedUrl)
    assert len(dns.asked) == 3


async def test_look_ups_of_one_name_at_a_time_are_one() -> None:
    """However many ask while it is under way."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    asking = [asyncio.create_task(egress.check(f"https://hung.test/{number}")) for number in range(50)]
    await asyncio.wait(asking, timeout=0)
    other = await egress.check("https://quick.test/")
    dns.let.set()
    assert all(isinstance(checked, PinnedUrl) for checked in await asyncio.gather(*asking))
    assert isinstance(other, PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]


async def test_hung_look_up_ends_for_who_asked_and_holds_up_nobody_else() -> None:
    """Its time is limited; asking again joins it instead of starting another; its late answer still counts."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    assert await egress.check("https://hung.test/", 20) == SLOW
    assert await egress.check("https://hung.test/", 20) == SLOW
    assert isinstance(await egress.check("https://quick.test/", 20), PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]
    dns.let.set()
    assert isinstance(await egress.check("https://hung.test/"), PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]


async def test_names_that_hang_of_one_organization_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have as many look-ups under way as are free; more are refused at once, as a shortage of ours."""
    monkeypatch.setattr(egress_module, "MAX_LOOKUPS", 10)
    dns = HungDns()
    egress = Egress(resolve=dns)
    names = [f"https://hung{number}.test/" for number in range(100)]
    asking = [asyncio.create_task(egress.check(name, 20, "acme")) for name in names]
    assert isinstance(await egress.check("https://quick.test/", 20, "other"), PinnedUrl)
    answers = await asyncio.gather(*asking)
    assert [answer.failure for answer in answers if isinstance(answer, Refused)] == (
        [FailureKind.DNS] * 5 + [FailureKind.SHORTAGE] * 95
    )
    dns.let.set()
    assert isinstance(await egress.check(names[0], 20, "acme"), PinnedUrl)
    assert isinstance(await egress.check(names[-1], 5_000, "acme"), PinnedUrl)


async def test_cancelled_caller_leaves_the_look_up_to_the_others() -> None:
    """One attempt cut off does not cut off another's."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    first, second = (asyncio.create_task(egress.check("https://hung.test/")) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    await asyncio.wait([first])
    dns.let.set()
    assert isinstance(await second, PinnedUrl)


async def test_close_ends_look_ups_under_way() -> None:
    """Who waits for one is told at once."""
    egress = Egress(resolve=HungDns())
    waiting = asyncio.create_task(egress.check("https://hung.test/"))
    await asyncio.wait([waiting], timeout=0)
    await egress.close()
    assert await waiting == SLOW


async def test_memory_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without end take no memory without end; those no longer valid make room."""
    monkeypatch.setattr(egress_module, "MAX_CACHED", 10)
    seconds = Seconds()
    egress = Egress(resolve=FakeDns((PUBLIC,)), seconds=seconds)
    for number in range(30):
        assert isinstance(await egress.check(f"https://shop{number}.test/"), PinnedUrl)
    assert sum(egress.check_cached(f"https://shop{number}.test/") is not None for number in range(30)) == 10
    seconds.now += KEPT_SECONDS + 0.001
    assert isinstance(await egress.check("https://new.test/"), PinnedUrl)
    assert isinstance(egress.check_cached("https://new.test/"), PinnedUrl)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        (PUBLIC, True),
        (PUBLIC_IPV6, True),
        ("127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%lo", False),
        ("not an address", False),
        ("", False),
    ],
)
def test_each_socket_is_judged_by_its_own_address(address: str, *, may: bool) -> None:
    """What is no address at all may not be opened either."""
    assert Egress().may_open(address, 443) is may
