"""Test which addresses are allowed: both edges of every network in the table."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core import ip_policy as table
from packhook.core.ip_policy import may_connect

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
    """Return True if one of the networks contains the address."""
    return any(address in ip_network(network) for network in networks)


def test_the_deny_table_is_complete() -> None:
    """No network is missing, and none was added."""
    assert sorted(map(str, table.DENIED_IPV4)) == sorted(DENIED_IPV4)
    assert sorted(map(str, table.DENIED_IPV6)) == sorted(DENIED_IPV6)
    assert str(table.ALLOWED_IPV6) == "2000::/3"


@pytest.mark.parametrize(
    ("last_open", "first_denied", "last_denied", "first_open"),
    [
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
        ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
        ("192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
        ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
        ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
         "2001:db9::"),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
        ("2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
         "2620:4f:8001::"),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
    ],
)  # fmt: skip
def test_the_edges_written_out(last_open: str, first_denied: str, last_denied: str, first_open: str) -> None:
    """This table has the addresses themselves, without arithmetic."""
    judged = [may_connect(ip_address(text)) for text in (last_open, first_denied, last_denied, first_open)]
    assert judged == [True, False, False, True]


def test_the_outer_edges_written_out() -> None:
    """Where a network ends at another one, or at the end of the address space."""
    ends = {
        "0.0.0.0": False,  # noqa: S104 an address to judge, not one to listen on
        "0.255.255.255": False, "1.0.0.0": True,
        "223.255.255.255": True, "224.0.0.0": False, "239.255.255.255": False, "240.0.0.0": False,
        "255.255.255.255": False,
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "2000::": True,
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": True, "4000::": False,
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False,
    }  # fmt: skip
    assert {text: may_connect(ip_address(text)) for text in ends} == ends


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
    """Only 2000::/3 is open: NAT64, 6to4, Teredo and other forms that embed an address are not."""
    assert not may_connect(IPv6Address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "223.255.255.255", "2606:4700::1", "2a00::1"])
def test_public_addresses_are_open(text: str) -> None:
    """IPv4, IPv6, and IPv4 in IPv6."""
    address = ip_address(text)
    assert may_connect(address)
    if isinstance(address, IPv4Address):
        assert may_connect(IPv6Address(f"::ffff:{address}"))


def test_every_address_with_a_zone_is_denied() -> None:
    """An address with a zone has another meaning on each machine."""
    assert not may_connect(IPv6Address("2606:4700::1%eth0"))


def test_allow_opens_no_other_network() -> None:
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


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_ipv6_outside_2000_3_is_denied_unless_it_holds_an_open_ipv4(address: IPv6Address) -> None:
    """One eighth of all addresses is open, except the table; unknown networks are denied."""
    mapped = address.ipv4_mapped
    inside = address in IPv6Network("2000::/3") and not in_any(address, DENIED_IPV6)
    assert may_connect(address) == (inside if mapped is None else not in_any(mapped, DENIED_IPV4))


@pytest.mark.parametrize("text", ["fe80::1%eth0", "2606:4700::1%1", "::ffff:8.8.8.8%eth0", "::1%lo"])
def test_no_allow_opens_an_address_with_a_zone(text: str) -> None:
    """Not even the network of all addresses."""
    assert not may_connect(IPv6Address(text), (ip_network("::/0"), ip_network("0.0.0.0/0")))


def test_allow_opens_by_family() -> None:
    """All of IPv4 opens no IPv6 but the mapped; all of IPv6, and the mapped range itself, open no IPv4."""
    ipv4, ipv6, mapped = ip_network("0.0.0.0/0"), ip_network("::/0"), ip_network("::ffff:0:0/96")
    judged = {
        text: [may_connect(ip_address(text), (network,)) for network in (ipv4, ipv6, mapped)]
        for text in ("10.0.0.1", "::ffff:10.0.0.1", "::1")
    }
    assert judged == {
        "10.0.0.1": [True, False, False],
        "::ffff:10.0.0.1": [True, False, False],
        "::1": [False, True, False],
    }


@pytest.mark.parametrize("text", ["127.0.0.1/32", "::1/128"])
def test_allow_opens_a_single_address(text: str) -> None:
    """Its neighbours stay denied."""
    network = ip_network(text)
    assert may_connect(network[0], (network,))
    assert not any(may_connect(network[0] + step, (network,)) for step in (-1, 1))
