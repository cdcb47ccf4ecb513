"""Test endpoint URLs: parsed once, validated, rebuilt; none that another parser would read differently."""

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhook.core.endpoint import LONGEST, Endpoint, InvalidEndpoint, parse_endpoint


def parsed(text: str) -> Endpoint:
    """Parse with http allowed."""
    return parse_endpoint(text, allow_http=True)


@pytest.mark.parametrize(
    ("text", "url", "host", "port"),
    [
        ("https://myapp.packcloud.local/order-created", "https://myapp.packcloud.local/order-created",
         "myapp.packcloud.local", 443),
        ("https://example.com", "https://example.com/", "example.com", 443),
        ("HTTPS://EXAMPLE.com:443/A?b=C", "https://example.com/A?b=C", "example.com", 443),
        ("http://example.com:8080/", "http://example.com:8080/", "example.com", 8080),
        ("http://example.com:80", "http://example.com/", "example.com", 80),
        ("https://example.com./", "https://example.com/", "example.com", 443),
        ("https://bücher.example/ü?ö=ä", "https://xn--bcher-kva.example/%C3%BC?%C3%B6=%C3%A4",
         "xn--bcher-kva.example", 443),
        ("https://a_b.example/", "https://a_b.example/", "a_b.example", 443),
        ("https://192.0.2.1/", "https://192.0.2.1/", "192.0.2.1", 443),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x", "2001:db8::1", 8443),
        ("https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "::ffff:7f00:1", 443),
        ("https://example.com/a%20b/../c", "https://example.com/a%20b/../c", "example.com", 443),
        ("https://localhost/", "https://localhost/", "localhost", 443),
        ("https://10.1.2.3:8443/", "https://10.1.2.3:8443/", "10.1.2.3", 8443),
        ("https://0.0.0.0/", "https://0.0.0.0/", "0.0.0.0", 443),  # noqa: S104 an address to judge
        ("https://255.255.255.255/", "https://255.255.255.255/", "255.255.255.255", 443),
        ("https://[::]/", "https://[::]/", "::", 443),
        ("https://[::1]", "https://[::1]/", "::1", 443),
        ("https://[0:0:0:0:0:0:0:1]:443/", "https://[::1]/", "::1", 443),
        ("https://[fe80::1]/", "https://[fe80::1]/", "fe80::1", 443),
        ("https://[64:ff9b::192.0.2.33]/", "https://[64:ff9b::c000:221]/", "64:ff9b::c000:221", 443),
        ("https://example.com:1/", "https://example.com:1/", "example.com", 1),
        ("https://example.com:65535/", "https://example.com:65535/", "example.com", 65535),
        ("https://example.com:0443/", "https://example.com/", "example.com", 443),
        ("http://example.com:443/", "http://example.com:443/", "example.com", 443),
        ("https://example.com:80/", "https://example.com:80/", "example.com", 80),
        ("https://example.com?a=b", "https://example.com/?a=b", "example.com", 443),
        ("https://example.com/?", "https://example.com/", "example.com", 443),
        ("https://example.com/a?b?c=/&d=@:", "https://example.com/a?b?c=/&d=@:", "example.com", 443),
        ("https://example.com//a;b=1/@c", "https://example.com//a;b=1/@c", "example.com", 443),
        ("https://example.com/<a>\"b\"`{c}", "https://example.com/%3Ca%3E%22b%22%60%7Bc%7D", "example.com", 443),
        ("https://127.example.com/", "https://127.example.com/", "127.example.com", 443),
        ("https://1.1.1.1.example/", "https://1.1.1.1.example/", "1.1.1.1.example", 443),
        ("https://0xcafe.example/", "https://0xcafe.example/", "0xcafe.example", 443),
        ("https://example\u3002com/", "https://example.com/", "example.com", 443),
        ("https://\uff25xample.com/", "https://example.com/", "example.com", 443),
        ("https://例え.テスト./", "https://xn--r8jz45g.xn--zckzah/", "xn--r8jz45g.xn--zckzah", 443),
        ("https://faß.example/", "https://xn--fa-hia.example/", "xn--fa-hia.example", 443),
    ],
)  # fmt: skip
def test_good_urls_are_rebuilt(text: str, url: str, host: str, port: int) -> None:
    """Each has one form, private names and addresses too."""
    endpoint = parsed(text)
    assert (endpoint.url, endpoint.host, endpoint.port) == (url, host, port)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "https://"),
        ("example.com", "https://"),
        ("//example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("javascript:alert(1)", "https://"),
        ("https:/example.com", "no host"),
        ("https://", "no host"),
        ("https://:443/", "no host"),
        ("https://user@example.com/", "user name"),
        ("https://user:word@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com\\@other.example/", "backslash"),
        ("https://exa mple.com/", "white space"),
        (" https://example.com/", "white space"),
        ("https://example.com/\n", "white space"),
        ("https://example.com/\t", "white space"),
        ("https://example.com/\x00", "control"),
        ("https://example.com/\u202e", "control"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:/", "port"),
        ("https://example.com:8a/", "port"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0x7f.0.0.1/", "four decimal numbers"),
        ("https://017700000001/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://0x7f.1/", "four decimal numbers"),
        ("https://0X7F.1/", "four decimal numbers"),
        ("https://127.0.1/", "four decimal numbers"),
        ("https://127.0.0.0x1/", "four decimal numbers"),
        ("https://127.0.0.01/", "four decimal numbers"),
        ("https://127.0.0.1.1/", "four decimal numbers"),
        ("https://2130706433./", "four decimal numbers"),
        ("https://127.1./", "four decimal numbers"),
        ("https://00.0.0.0/", "four decimal numbers"),
        ("https://0/", "four decimal numbers"),
        ("https://127.0.0.1\u3002/", "four decimal numbers"),
        ("https://127\u30020.0.1/", "four decimal numbers"),
        ("https://999.999.999.999/", "IPv4"),
        ("https://١٢٧.0.0.1/", "four decimal numbers|host name"),
        ("https://127.0.0.1./", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://127.0.0.256/", "IPv4"),
        ("https://\uff11\uff12\uff17.0.0.1/", "four decimal numbers"),
        ("https://①②⑦.0.0.1/", "four decimal numbers"),
        ("https://example.0x/", "four decimal numbers"),
        ("https://[::1%25eth0]/", "zone|IPv6"),
        ("https://[::1/", "not a URL"),
        ("https://[v1.x]/", "IPv6|not a URL"),
        ("https://[127.0.0.1]/", "IPv6|not a URL"),
        ("https://::1/", "brackets|port|no host"),
        ("https://[]/", "IPv6|not a URL"),
        ("https://[1::2::3]/", "IPv6|not a URL"),
        ("https://[12345::]/", "IPv6|not a URL"),
        ("https://[fe80::1%eth0]/", "zone|IPv6"),
        ("https://[::1]:/", "port"),
        ("https://[::1]:0/", "port"),
        ("https://[::1]:x/", "port"),
        ("https://foo[::1]/", "brackets|not a URL"),
        ("https://2001:db8::1/", "four decimal numbers"),
        ("https://example.com:-1/", "port"),
        ("https://example.com:+80/", "port"),
        ("https://example.com:8_0/", "port"),
        ("https://example.com:٨٠/", "port"),
        ("https://example.com:443:443/", "port"),
        ("https://user%40example.com@other.example/", "user name"),
        ("https://example.com\uff20other.example/", "not a URL"),
        ("https://example.com\uff0fother.example/", "not a URL"),
        ("https:\\\\example.com/", "backslash"),
        ("https://example.com/a\\b", "backslash"),
        ("https:///example.com/", "no host"),
        ("https:example.com", "no host"),
        ("/order-created", "https://"),
        ("file:///etc/hosts", "https://"),
        ("gopher://example.com/", "https://"),
        ("https://./", "host name"),
        ("https://example-.com/", "host name"),
        ("https://exa%2emple.com/", "host name"),
        ("https://example.com;a/", "host name"),
        ("https://example.com,other.example/", "host name"),
        ("https://exa*mple.com/", "host name"),
        ("https://\u2488example.com/", "host name|not a URL"),
        ("https://-example.com/", "host name"),
        ("https://example..com/", "host name"),
        ("https://.example.com/", "host name"),
        ("https://example.com../", "host name"),
        ("https://exam%70le.com/", "host name"),
        ("https://exa<mple.com/", "host name"),
        ("https://" + "a" * 64 + ".com/", "host name"),
        ("https://" + "a." * 127 + "com/", "host name"),
        ("https://example.com/" + "a" * LONGEST, "2048 characters"),
        ("https://example.com/" + "ü" * 500, "once it is encoded"),
        ("https://example.com/\ud800", "control"),
    ],
)
def test_bad_urls_are_refused_with_a_reason(text: str, words: str) -> None:
    """Even if another parser accepts them."""
    with pytest.raises(InvalidEndpoint, match=words):
        parsed(text)


def test_plain_http_needs_permission_of_the_operator() -> None:
    """Otherwise only https is accepted."""
    with pytest.raises(InvalidEndpoint, match="expected https"):
        parse_endpoint("http://example.com/", allow_http=False)


@pytest.mark.parametrize("allow_http", [True, False])
def test_https_is_always_allowed(allow_http: bool) -> None:
    """The parsed URL has its scheme."""
    assert parse_endpoint("https://example.com/", allow_http=allow_http) == Endpoint(
        url="https://example.com/", scheme="https", host="example.com", port=443, authority="example.com", target="/"
    )
    assert parsed("http://example.com/").scheme == "http"


def test_a_literal_has_its_address_and_a_name_has_none() -> None:
    """So a literal is checked without a resolver."""
    texts = ("https://192.0.2.1/", "https://[2001:db8::1]/", "https://192.0.2.1.example/")
    assert [parsed(text).address for text in texts] == [IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1"), None]


@pytest.mark.parametrize(
    "character",
    [*map(chr, range(0x21)), *map(chr, range(0x7F, 0xA1)), "\u00ad", "\u1680", "\u2000", "\u200b", "\u2028", "\u2029",
     "\u3000", "\ufeff"],
    ids=lambda character: f"U+{ord(character):04X}",
)  # fmt: skip
@pytest.mark.parametrize(
    "url", ["{}https://example.com/", "https://exa{}mple.com/", "https://example.com/{}", "ht{}tps://a/"]
)
def test_no_white_space_and_no_control_character_anywhere(url: str, character: str) -> None:
    """None is stripped or skipped: before, in the scheme, in the host, after."""
    with pytest.raises(InvalidEndpoint, match="white space"):
        parsed(url.format(character))


def test_a_url_has_2048_characters_at_most() -> None:
    """Both as given and as rebuilt."""
    longest = "https://example.com/" + "a" * (LONGEST - len("https://example.com/"))
    assert LONGEST == 2048
    assert parsed(longest).url == longest
    with pytest.raises(InvalidEndpoint, match="at most 2048 characters, got 2049"):
        parsed(longest + "a")
    encoded = "https://example.com/" + "ü" * ((LONGEST - len("https://example.com/")) // 6)
    assert len(parsed(encoded).url) == LONGEST
    with pytest.raises(InvalidEndpoint, match="got 2049 once it is encoded"):
        parsed(encoded + "a")


def test_a_host_name_has_253_characters_at_most() -> None:
    """A label has at most 63."""
    label = "a" * 63
    longest = ".".join([label, label, label, "a" * 61])
    assert parsed(f"https://{longest}/").host == longest
    for host in (f"{longest}a", f"{label}a.example"):
        with pytest.raises(InvalidEndpoint, match="host name"):
            parsed(f"https://{host}/")


@pytest.mark.parametrize("url", ["https://[::1]example.com/", "https://[::1]]/", "https://[2001:db8::1]x:8443/"])
def test_nothing_follows_the_bracket_of_an_address(url: str) -> None:
    """Another parser would connect to another host."""
    with pytest.raises(InvalidEndpoint):
        parsed(url)


hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.from_regex(r"[a-z0-9A-Z_][a-zA-Z0-9_-]{0,8}(\.[a-z][a-z0-9]{0,5}){0,3}\.?", fullmatch=True),
    st.from_regex(r"(0x[0-9a-f]{1,8}|[0-9]{1,11})(\.[0-9]{1,3}){0,4}\.?", fullmatch=True),
    st.text("abcxn-.019_ßüıİ\u3002\uff0e\uff61\u2460\u2167\u0660\u0b95\u05d0\u0627\ufdfa", min_size=1, max_size=14),
    st.text(min_size=1, max_size=12),
)
ports = st.one_of(st.just(""), st.integers(-1, 66_000).map(lambda port: f":{port}"))
urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS"]),
    hosts,
    ports,
    st.one_of(st.just(""), st.text(max_size=20).map(lambda rest: f"/{rest}"), st.text(max_size=9).map("?{}".format)),
)


@given(st.one_of(urls, st.text(max_size=80), st.text(max_size=60).map(lambda rest: "https://" + rest)))
@example("https://xn--\u0d37")
@example("https://\u0660.1")
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    """Nothing else is raised; an accepted URL is rebuilt to itself, in ASCII, with the checked host."""
    try:
        endpoint = parsed(text)
    except InvalidEndpoint:
        return
    assert parsed(endpoint.url) == endpoint
    assert endpoint.url.isascii()
    rebuilt = urlsplit(endpoint.url)
    assert (rebuilt.scheme, rebuilt.hostname) == (endpoint.scheme, endpoint.host)
    assert (rebuilt.port or {"http": 80, "https": 443}[endpoint.scheme]) == endpoint.port
    assert (rebuilt.username, rebuilt.password, rebuilt.fragment) == (None, None, "")


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_any_literal_is_accepted(address: IPv4Address | IPv6Address, port: int) -> None:
    """Each send checks whether it may be connected to."""
    shown = f"[{address}]" if address.version == 6 else str(address)
    endpoint = parsed(f"https://{shown}:{port}/")
    assert (endpoint.address, endpoint.host, endpoint.port) == (address, str(address), port)


@given(st.ip_addresses(v=4))
def test_only_the_dotted_quad_is_an_ipv4_address(address: IPv4Address) -> None:
    """Every other number that an older parser takes for an address is refused."""
    number, (first, second, third, fourth) = int(address), address.packed
    others = [
        str(number), hex(number), f"0{number:o}", f"{first}.{number & 0xFFFFFF}", f"{first}.{second}.{number & 0xFFFF}",
        f"0x{first:x}.{second}.{third}.{fourth}", f"0{first:o}.{second}.{third}.{fourth}", f"{address}.",
        f"{first}.{second}.{third}.0x{fourth:x}", f"00{address}",
    ]  # fmt: skip
    for host in others:
        with pytest.raises(InvalidEndpoint, match="four decimal numbers"):
            parsed(f"https://{host}/")
