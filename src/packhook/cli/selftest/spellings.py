"""List the hosts of the self-test: every spelling that some parser takes for an address, and good ones."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Final

from packhook.core.ip_policy import ALLOWED_IPV6, DENIED_IPV4, DENIED_IPV6, Address, Network

HOSTILE: Final[dict[str, tuple[str, ...]]] = {
    "decimal": ("2130706433", "2852039166", "167772161", "0", "4294967295", "4294967296", "6425673729"),
    "octal": ("0177.0.0.1", "017700000001", "0251.0376.0251.0376", "012.0.0.1", "00000177.0.0.1", "0o177.0.0.1"),
    "hexadecimal": ("0x7f000001", "0X7F.0.0.1", "0x7f.0x0.0x0.0x1", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0x", "0x0"),
    "short forms": ("127.1", "127.0.1", "10.1", "169.254.43518", "0.0", "1.1", "192.168.257"),
    "mixed forms": ("0x7f.1", "0177.0x0.0.1", "127.0x1", "0xa9.254.0251.254"),
    "other numbers": (
        "127.000.000.001", "127.0.0.01", "127.0.0.1.1", "127.0.0.256", "999.1.1.1", "1.2.3.4.5", "+127.0.0.1",
    ),
    "full-width digits": (
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\uff12\uff11\uff13\uff10\uff17\uff10\uff16\uff14\uff13\uff13",
    ),
    "circled digits": (
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
        "\u2460\u2465\u2468.\u2461\u2464\u2463.\u2460\u2465\u2468.\u2461\u2464\u2463",
    ),
    "other digits": (
        "\u00b9\u00b2\u2077.\u2070.\u2070.\u00b9",
        "\U0001d7cf\U0001d7d0\U0001d7d5.\U0001d7ce.\U0001d7ce.\U0001d7cf",
        "\u0661\u0662\u0667.\u0660.\u0660.\u0661",
    ),
    "other dots": (
        "127\u30020\u30020\u30021", "127\uff0e0\uff0e0\uff0e1", "127\uff610\uff610\uff611",
        "127\u20240\u20240\u20241",
    ),
    "hidden characters": (
        "127.0.0.1\u00ad", "12\u200b7.0.0.1", "127.0.0\u2060.1", "127.0.0.1\ufeff", "1\u200d27.0.0.1",
    ),
    "trailing dots": (
        "127.0.0.1.", "127.0.0.1..", "169.254.169.254.", "127.1.", "2130706433.", "0x7f000001.", ".", "..",
    ),
    "percent-encoded": ("%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.1%00", "127.0.0.1%00.shop.test", "%5b::1%5d"),
    "control characters": ("127.0.0.1\x00", "127.0.0.1\t", "127.0.0.1\n", " 127.0.0.1", "shop.test\r\nx: y"),
    "user names and the like": (
        "shop.test@127.0.0.1",
        "shop.test:443@127.0.0.1",
        "127.0.0.1#@shop.test",
        "127.0.0.1\\@shop.test",
        "shop.test\\.127.0.0.1",
        "@127.0.0.1",
        "127.0.0.1:443:80",
        "127.0.0.1:",
        "127.0.0.1:99999",
    ),
    "IPv6 loopback and unspecified": (
        "[::1]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]",
    ),
    "IPv4-mapped": ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:A9FE:A9FE]", "[0:0:0:0:0:ffff:10.0.0.1]"),
    "IPv4-compatible and translated": ("[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[::93.184.216.34]"),
    "NAT64": ("[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::5db8:d822]", "[64:ff9b:1::a00:1]"),
    "6to4": ("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2002:5db8:d822::1]"),
    "Teredo": ("[2001::1]", "[2001:0:7f00:1::80ff:fffe]", "[2001:0:5ef5:79fd::1]"),
    "unique local, link-local, multicast": ("[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[ff02::1]"),
    "zones": (
        "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[2606:2800:220:1::1%25eth0]", "[2606:2800:220:1::1%1]",
    ),
    "broken brackets": (
        "[::1", "::1]", "::1", "[[::1]]", "[127.0.0.1]", "[::1]x", "[::1].", "[]", "[v1.x]", "[::1]@shop.test",
    ),
    "broken punycode": ("xn--", "xn--a-\uff10", "\uff58n--127.0.0.1", "xn--127.0.0.1"),
}  # fmt: skip
"""Hosts that are refused as they stand, whatever a resolver would say."""

NAMES: Final = (
    "shop.test", "shop.test.", "SHOP.Test", "127.0.0.1.shop.test", "0x7f.shop.test", "localhost", "localhost.",
    "xn--bcher-kva.test", "b\u00fccher.test", "shop\u3002test", "\uff53hop.test", "xn--n6h.test", "a_b.test", "1.test",
    "\u0967\u0968\u096d.\u0966.\u0966.\u0967",
)  # fmt: skip
"""Names, digits that stand for no address to any reader of URLs among them: what they resolve to decides."""

GOOD_IPV4: Final = "93.184.216.34"
GOOD_IPV6: Final = "2606:2800:220:1::1"
GOOD: Final = (
    GOOD_IPV4, "1.1.1.1", "8.8.8.8", "223.255.255.255", f"[{GOOD_IPV6}]", "[2a00:1450:4001:82a::200e]",
    f"[::ffff:{GOOD_IPV4}]", "[2001:4860:4860::8888]", "[2620:fe::fe]", "[3ffe::1]",
)  # fmt: skip
"""Literals that may be connected to."""

BAD: Final = (
    "127.0.0.1", "169.254.169.254", "10.0.0.1", "168.63.129.16", "0.0.0.0",  # noqa: S104 refused
    "::1", "::", "::ffff:127.0.0.2", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1", "fd00:ec2::254",
    "fe80::1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:a9fe:a9fe::1", "2001:0:7f00:1::80ff:fffe",
)  # fmt: skip
"""What a name is rebound to."""


def as_answers() -> Iterator[tuple[str, Address]]:
    """Yield the hostile spellings that a resolver can answer: all that are an IPv6 address, zones among them."""
    for group, hosts in HOSTILE.items():
        for host in hosts:
            with suppress(ValueError):
                yield group, IPv6Address(host.removeprefix("[").removesuffix("]").replace("%25", "%"))


def denied_ends() -> Iterator[tuple[str, Address]]:
    """Yield the first and last address of every denied network, and both neighbours of the allowed IPv6 network."""
    for network in _denied():
        yield f"first of {network}", network[0]
        if network.num_addresses > 1:
            yield f"last of {network}", network[-1]
    yield f"just before {ALLOWED_IPV6}", ALLOWED_IPV6[0] - 1
    yield f"just after {ALLOWED_IPV6}", ALLOWED_IPV6[-1] + 1


def allowed_ends() -> Iterator[tuple[str, Address]]:
    """Yield the addresses just outside of denied networks that no other network denies."""
    denied = _denied()
    for network in denied:
        for where, number in (("before", int(network[0]) - 1), ("after", int(network[-1]) + 1)):
            if not 0 < number < 2**network.max_prefixlen:
                continue
            neighbour = ip_address(network[0].__class__(number))
            if not any(neighbour in other for other in denied if other.version == neighbour.version) and (
                neighbour.version == 4 or neighbour in ALLOWED_IPV6
            ):
                yield f"just {where} {network}", neighbour


def _denied() -> tuple[Network, ...]:
    return (*DENIED_IPV4, *DENIED_IPV6)


def in_url(address: Address | str) -> str:
    """Return an address as the host of a URL."""
    return f"[{address}]" if ":" in str(address) else str(address)
