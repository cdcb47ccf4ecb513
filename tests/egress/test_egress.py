"""Test the decision whether and where a URL may be sent to. It is made before any connection, so nothing connects."""

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
from support.http_client import FakeDns

BLOCKED: Final = Refused(FailureKind.BLOCKED, REFUSAL)
SLOW: Final = Refused(FailureKind.DNS, "looking up the host name took too long: check that its name servers answer")
PUBLIC: Final = "93.184.216.34"
PUBLIC_IPV6: Final = "2606:2800:220:1::1"


class Seconds:
    """Tell the time of a monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the current time in seconds."""
        return self.now


class HungDns:
    """Record the look-ups; answer those of names that begin with ``hung`` once ``may_answer`` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, host: str, port: int) -> Sequence[Address]:  # noqa: ARG002 the signature of a resolver
        """Return a public address."""
        self.asked.append(host)
        if host.startswith("hung"):
            await self.may_answer.wait()
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
    """The text is always the same, and no name server is queried."""
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
    """It is pinned to all of them, in the resolver's order."""
    url = "https://shop.test:8443/hook"
    pinned = await Egress(resolve=FakeDns((PUBLIC_IPV6, PUBLIC))).check(url)
    assert pinned == PinnedUrl(parse_endpoint(url, allow_http=False), (PUBLIC_IPV6, PUBLIC))


async def test_an_allowed_network_opens_no_other() -> None:
    """``egress_allow`` is for development and private networks."""
    egress = Egress((ip_network("10.1.0.0/16"),), resolve=FakeDns(("10.1.2.3",), ("10.2.2.3",)))
    assert isinstance(await egress.check("https://inner.test/"), PinnedUrl)
    assert await egress.check("https://outer.test/") == BLOCKED


async def test_plain_http_is_refused_unless_the_operator_allows_it() -> None:
    """The detail is a different one: the scheme is refused, not the address."""
    refused = await Egress().check(f"http://{PUBLIC}/")
    assert isinstance(refused, Refused)
    assert (refused.failure, "https" in refused.detail) == (FailureKind.BLOCKED, True)
    assert isinstance(await Egress(allow_http=True).check(f"http://{PUBLIC}/"), PinnedUrl)


@pytest.mark.parametrize(
    ("error", "detail"),
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
async def test_the_detail_of_a_failed_look_up_names_its_cause(error: OSError | tuple[str, ...], detail: str) -> None:
    """It names the cause and the fix."""
    assert await Egress(resolve=FakeDns(error)).check("https://gone.test/") == Refused(FailureKind.DNS, detail)


async def test_an_answer_is_cached_for_some_seconds() -> None:
    """A busy lane does not look up its name for each attempt; a rebound name is refused soon after."""
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


async def test_concurrent_look_ups_of_one_name_share_one_query() -> None:
    """However many wait for it."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    checks = [asyncio.create_task(egress.check(f"https://hung.test/{number}")) for number in range(50)]
    await asyncio.wait(checks, timeout=0)
    other = await egress.check("https://quick.test/")
    dns.may_answer.set()
    assert all(isinstance(checked, PinnedUrl) for checked in await asyncio.gather(*checks))
    assert isinstance(other, PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]


async def test_a_hung_look_up_times_out_and_delays_no_other() -> None:
    """Its time is limited; another check joins it instead of starting a second one; its late answer still counts."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    assert await egress.check("https://hung.test/", 20) == SLOW
    assert await egress.check("https://hung.test/", 20) == SLOW
    assert isinstance(await egress.check("https://quick.test/", 20), PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]
    dns.may_answer.set()
    assert isinstance(await egress.check("https://hung.test/"), PinnedUrl)
    assert dns.asked == ["hung.test", "quick.test"]


async def test_names_that_hang_of_one_organization_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have as many look-ups under way as are free; more are refused at once, as a shortage of ours."""
    monkeypatch.setattr(egress_module, "MAX_LOOKUPS", 10)
    dns = HungDns()
    egress = Egress(resolve=dns)
    names = [f"https://hung{number}.test/" for number in range(100)]
    checks = [asyncio.create_task(egress.check(name, 20, "acme")) for name in names]
    assert isinstance(await egress.check("https://quick.test/", 20, "other"), PinnedUrl)
    answers = await asyncio.gather(*checks)
    assert [answer.failure for answer in answers if isinstance(answer, Refused)] == (
        [FailureKind.DNS] * 5 + [FailureKind.SHORTAGE] * 95
    )
    dns.may_answer.set()
    assert isinstance(await egress.check(names[0], 20, "acme"), PinnedUrl)
    assert isinstance(await egress.check(names[-1], 5_000, "acme"), PinnedUrl)


async def test_a_cancelled_caller_does_not_cancel_the_look_up() -> None:
    """The other callers still get the answer."""
    dns = HungDns()
    egress = Egress(resolve=dns)
    first, second = (asyncio.create_task(egress.check("https://hung.test/")) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    await asyncio.wait([first])
    dns.may_answer.set()
    assert isinstance(await second, PinnedUrl)


async def test_close_ends_running_look_ups() -> None:
    """Each caller gets an error at once."""
    egress = Egress(resolve=HungDns())
    waiting = asyncio.create_task(egress.check("https://hung.test/"))
    await asyncio.wait([waiting], timeout=0)
    await egress.close()
    assert await waiting == SLOW


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of names takes bounded memory; expired entries make room."""
    monkeypatch.setattr(egress_module, "MAX_CACHED", 10)
    seconds = Seconds()
    egress = Egress(resolve=FakeDns((PUBLIC,)), seconds=seconds)
    for number in range(30):
        assert isinstance(await egress.check(f"https://shop{number}.test/", 5_000, f"org{number}"), PinnedUrl)
    assert sum(egress.check_cached(f"https://shop{number}.test/") is not None for number in range(30)) == 10
    seconds.now += KEPT_SECONDS + 0.001
    assert isinstance(await egress.check("https://new.test/"), PinnedUrl)
    assert isinstance(egress.check_cached("https://new.test/"), PinnedUrl)


async def test_names_of_one_organization_leave_room_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache half of what fits for one that is alone; its other names are looked up each time, another's are cached."""
    monkeypatch.setattr(egress_module, "MAX_CACHED", 10)
    seconds = Seconds()
    egress = Egress(resolve=FakeDns((PUBLIC,)), seconds=seconds)
    for number in range(30):
        await egress.check(f"https://shop{number}.test/", 5_000, "greedy")
    assert sum(egress.check_cached(f"https://shop{number}.test/") is not None for number in range(30)) == 5
    await egress.check("https://other.test/", 5_000, "other")
    assert isinstance(egress.check_cached("https://other.test/"), PinnedUrl)
    for _ in range(3):  # an entry that is looked up again is counted once, and an expired one not at all
        seconds.now += KEPT_SECONDS + 0.001
        for number in range(30):
            await egress.check(f"https://shop{number}.test/", 5_000, "greedy")
        assert sum(egress.check_cached(f"https://shop{number}.test/") is not None for number in range(30)) == 5


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
    """A text that is no address may not be opened either."""
    assert Egress().may_open(address, 443) is may
