"""Fuzz the endpoint parser: no other parser reads what it accepts as another host."""

from typing import Final
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from packhook.cli.selftest.spellings import GOOD, HOSTILE, NAMES
from packhook.core.endpoint import LONGEST, Endpoint, InvalidEndpoint, parse_endpoint
from unit.fuzz import fuzzed
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
def test_all_parsers_agree_on_an_accepted_url(text: str) -> None:
    """RFC 3986 and browsers read the given URL alike or refuse it; all read the rebuilt URL alike."""
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


@fuzzed
@given(urls)
def test_the_sent_parts_are_those_of_the_url(text: str) -> None:
    """Host header and request target are parts of the checked URL."""
    endpoint = accepted(text)
    if endpoint is None:
        return
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    assert endpoint.url == f"{endpoint.scheme}://{endpoint.authority}{endpoint.target}"
    assert endpoint.authority in (host, f"{host}:{endpoint.port}")
    assert endpoint.target.startswith("/")
    assert f"{endpoint.authority}{endpoint.target}".isascii()
    assert not any(character.isspace() for character in endpoint.authority + endpoint.target)
