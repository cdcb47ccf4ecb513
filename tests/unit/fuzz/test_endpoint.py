"""Fuzz the endpoint parser: no other parser reads what it accepts as another host."""

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

import pycurl
from hypothesis import given
from hypothesis import strategies as st

from packhook.cli.selftest.spellings import GOOD, HOSTILE, NAMES
from packhook.core.endpoint import LONGEST, Endpoint, InvalidEndpoint, parse_endpoint
from packhook.delivery.egress import Checked, Egress
from support.netns import only_loopback
from unit.fuzz import CASES, fuzzed
from unit.fuzz.readings import Place, by_rfc_3986, by_whatwg

HOSTS: Final = [*NAMES, *GOOD, *(host for hosts in HOSTILE.values() for host in hosts)]
PIECES: Final = [
    *"/\\@:?#[]%.&=;|^~`'\"<>{} ", "//", "/..", "@", ":80", ":443", ":0", ":65535", ":65536", ":080", ":\u0661", "%2f",
    "%40", "%00", "\t", "\r\n", "\x00", "\u3002", "\uff0e", "\uff0f", "\uff20", "\uff1a", "\u2100", "\u00ad", "\u200d",
    "\ud800", "\u00df", "\u0130", "http://", "https:", "127.0.0.1", "[::1]", "xn--", "1", "0x7f", "a", "\u00e9",
]  # fmt: skip

schemes: Final = st.sampled_from(
    ["http://", "https://", "HTTP://", "https:/", "http:", "https:\\\\", "ftp://", "//", ""]
)
hosts: Final = (
    st.sampled_from(HOSTS) | st.text(max_size=12) | st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
)
tails: Final = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=4).map("".join)
wild: Final = (
    st.tuples(schemes, tails | st.just(""), hosts, tails).map("".join)
    | st.tuples(schemes, hosts, tails).map("".join)
    | st.text(max_size=60)
)
labels: Final = st.text("ab0x-_%\u00e9\uff11\u3002.", min_size=1, max_size=6)
tame: Final = st.tuples(
    st.sampled_from(["http://", "https://"]),
    st.sampled_from([*NAMES, *GOOD]) | st.lists(labels, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "", ":80", ":443", ":1", ":65535", ":00080", ":+80", ":8_0"]),
    st.sampled_from(["", "/", "?", "/a//..;@b:1", "?a=@b/c:d", "//other.test/"]) | tails.map("/{}".format),
).map("".join)
urls: Final = st.booleans().flatmap(lambda is_tame: tame if is_tame else wild)


def accepted(text: str) -> Endpoint | None:
    """Parse a URL; it raises nothing but InvalidEndpoint."""
    try:
        return parse_endpoint(text, allow_http=True)
    except InvalidEndpoint:
        return None


def rebuilt_as_promised(endpoint: Endpoint) -> None:
    """Assert that a URL is ASCII, has no separators inside, is not too long, and parses to itself."""
    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert not set(' \\#"<>') & set(endpoint.url)
    assert "@" not in endpoint.url.split("/")[2]
    assert len(endpoint.url) <= LONGEST
    assert accepted(endpoint.url) == endpoint


@fuzzed
@given(urls)
def test_everybody_reads_an_accepted_url_alike(text: str) -> None:
    """As it was written by RFC 3986 and by browsers (or they refuse it), and as it was rebuilt by all."""
    endpoint = accepted(text)
    if endpoint is None:
        return
    rebuilt_as_promised(endpoint)
    place = Place(endpoint.host, endpoint.port)
    assert by_whatwg(text) in {place, None}
    assert by_rfc_3986(text) in {place, None}
    assert (by_whatwg(endpoint.url), by_rfc_3986(endpoint.url)) == (place, place)
    parts = urlsplit(endpoint.url)
    assert Place(parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]) == place


class Libcurl:
    """Use libcurl as the HTTP client does, up to the socket that it would open."""

    def __init__(self) -> None:
        self._asked: list[tuple[str, int]] = []
        self._easy: Any = pycurl.Curl()
        self._easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self._easy.setopt(pycurl.RESOLVER_START_FUNCTION, lambda: -1)
        self._easy.setopt(pycurl.PATH_AS_IS, 1)
        self._easy.setopt(pycurl.PROXY, "")
        self._easy.setopt(pycurl.NOSIGNAL, 1)

    def _open(self, _purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> int:
        self._asked.append((address[3][0], address[3][1]))
        return int(pycurl.SOCKET_BAD)

    def place(self, checked: Checked) -> set[tuple[str, int]]:
        """Return the addresses and ports for which it requests a socket."""
        self._asked.clear()
        self._easy.setopt(pycurl.URL, checked.url)
        self._easy.setopt(pycurl.RESOLVE, [checked.pin])
        try:
            self._easy.perform()
        except pycurl.error:
            return set(self._asked)
        raise AssertionError("it cannot have got an answer")


@only_loopback
def test_libcurl_goes_where_the_parser_says() -> None:
    """The pin is made of the parser's host and port: had libcurl read others, it would find no pin and open nothing."""
    libcurl, loop, seen = Libcurl(), asyncio.new_event_loop(), 0

    async def resolve(_host: str, _port: int) -> list[Any]:
        return [ip_address("192.0.2.77")]

    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))

    @fuzzed
    @given(urls)
    def try_one(text: str) -> None:
        nonlocal seen
        endpoint = accepted(text)
        if endpoint is None:
            return
        checked = loop.run_until_complete(Egress(everything, allow_http=True, resolve=resolve).check(text))
        assert isinstance(checked, Checked)
        expected = str(endpoint.address or "192.0.2.77")
        assert {(_plain(host), port) for host, port in libcurl.place(checked)} == {(_plain(expected), endpoint.port)}
        seen += 1

    try_one()
    loop.close()
    assert seen >= CASES // 10, "a fuzzer that is refused at the door finds nothing"


def _plain(address: str) -> bytes:
    """Return an address as bytes, so that its notation does not matter."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
