"""Which addresses may be connected to: every network of the table, to the last address on both sides of its edges."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.address import may_connect

# Written out here once more, from the design, so that a line lost in the code is noticed.
DENIED_IPV4: Final = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
]
DENIED_IPV6: Final = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48"]


def in_any(address: IPv4Address | IPv6Address, networks: list[str]) -> bool:
    """Whether one of the networks has it."""
    return any(address in ip_network(network) for network in networks)


@pytest.mark.parametrize("text", DENIED_IPV4)
def test_denied_ipv4(text: str) -> None:
    """First, last and middle are denied, also when mapped into IPv6; the neighbours are not, unless denied too."""
    network = IPv4Network(text)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert not may_connect(address)
        assert not may_connect(IPv6Address(f"::ffff:{address}"))
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= number < 2**32 and not in_any(IPv4Address(number), DENIED_IPV4):
            assert may_connect(IPv4Address(number))


@pytest.mark.parametrize("text", DENIED_IPV6)
def test_denied_ipv6(text: str) -> None:
    """First and last are denied; the neighbours are not, while they lie in 2000::/3."""
    network = IPv6Network(text)
    assert not may_connect(network[0])
    assert not may_connect(network[-1])
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        address = IPv6Address(number)
        assert may_connect(address) == (address in IPv6Network("2000::/3") and not in_any(address, DENIED_IPV6))


@pytest.mark.parametrize(
    "text",
    [
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1", "::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "1fff:ffff::", "4000::",
    ],
)  # fmt: skip
def test_ipv6_beyond_global_unicast_is_denied(text: str) -> None:
    """Only 2000::/3 is open: NAT64, 6to4, Teredo and whatever embeds an address are not."""
    assert not may_connect(IPv6Address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "223.255.255.255", "2606:4700::1", "2a00::1"])
def test_public_addresses_are_open(text: str) -> None:
    """IPv4, IPv6, and IPv4 in IPv6."""
    address = ip_address(text)
    assert may_connect(address)
    if isinstance(address, IPv4Address):
        assert may_connect(IPv6Address(f"::ffff:{address}"))


def test_a_zone_is_denied_whatever_the_address() -> None:
    """An address with a zone means another thing on each machine."""
    assert not may_connect(IPv6Address("2606:4700::1%eth0"))


def test_allow_opens_what_it_names_and_nothing_else() -> None:
    """For names of both families; a mapped address is opened by its IPv4 network."""
    allow = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    opened = [ip_address(text) for text in ("127.0.0.1", "127.255.255.255", "::ffff:127.0.0.1", "fd12::1")]
    closed = [
        ip_address(text) for text in ("126.0.0.0", "10.0.0.1", "169.254.169.254", "fc00::1", "::1", "::127.0.0.1")
    ]
    assert all(may_connect(address, allow) for address in opened)
    assert [may_connect(address, allow) for address in closed] == [True, False, False, False, False, False]


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_any_ipv4_is_judged_by_the_table_alone(address: IPv4Address) -> None:
    """Mapped or not."""
    assert may_connect(address) == may_connect(IPv6Address(f"::ffff:{address}")) == (not in_any(address, DENIED_IPV4))
