"""A webhook's URL: parsed once, checked, rebuilt; no spelling that another parser would read otherwise."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.endpoint import LONGEST, Endpoint, InvalidEndpoint, parse_endpoint


def parsed(text: str) -> Endpoint:
    """Where http is allowed too."""
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
    ],
)  # fmt: skip
def test_good_urls_are_rebuilt(text: str, url: str, host: str, port: int) -> None:
    """One form of each; private names and addresses have a form, too."""
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
def test_bad_urls_are_refused_in_words(text: str, words: str) -> None:
    """Whatever another parser might make of them."""
    with pytest.raises(InvalidEndpoint, match=words):
        parsed(text)


def test_plain_http_is_for_an_operator_who_allows_it() -> None:
    """https only, otherwise."""
    with pytest.raises(InvalidEndpoint, match="expected https"):
        parse_endpoint("http://example.com/", allow_http=False)


@given(st.one_of(st.text(max_size=80), st.text(max_size=60).map(lambda rest: "https://" + rest)))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    """Nothing else is raised; what is accepted is its own rebuilt form, plain ASCII, with the host that was judged."""
    try:
        endpoint = parsed(text)
    except InvalidEndpoint:
        return
    assert parsed(endpoint.url) == endpoint
    assert endpoint.url.isascii()
    assert urlsplit(endpoint.url).hostname == endpoint.host
