"""The client's address behind trusted proxies, from ``X-Forwarded-For``.

::

    X-Forwarded-For: anything, that, a client, may write, 203.0.113.9, 10.0.0.7     connection from 10.0.0.8
                                                          └ the client    └──── trusted proxies ────┘

Each proxy appends the address that it got the request from. Read from the right: the first address that is not a
trusted proxy's is the last one that can be believed (RFC 7239, 8.1).
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from starlette.types import Scope

from packhook.core.ip_policy import Address, Network

HOST_NETWORK: Final = 64
"""Bits of the network of IPv6 that one host usually has for itself."""
_WITH_PORT: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))(?::\d{1,5})?")


def source_in(scope: Scope, trusted: Sequence[Network]) -> str:
    """Return the client's address of an ASGI request. Only the header of a trusted proxy is read."""
    client = scope.get("client")
    peer: str = client[0] if client else "unknown"
    if not trusted:
        return peer
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return source_of(peer, forwarded, trusted)


def source_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address. ``peer`` is the connection's, ``forwarded`` the values of ``X-Forwarded-For``.

    Returns ``peer`` if that is not a trusted proxy, or the header has an invalid address before the client's is found.
    If all addresses are trusted, returns the first one of the header.
    """
    address = _address(peer)
    if address is None or not _is_in(address, trusted) or not forwarded:
        return peer
    for text in reversed(",".join(forwarded).split(",")):
        address = _address(text.strip())
        if address is None:
            return peer
        if not _is_in(address, trusted):
            break
    return str(address)


def peer_network(peer: str, trusted: Sequence[Network]) -> str | None:
    """Return whose connections count together: an IPv4 address, or the /64 of an IPv6 one. None for a trusted proxy."""
    address = _address(peer)
    if address is None:
        return peer
    if _is_in(address, trusted):
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, HOST_NETWORK), strict=False))
    return str(address)


def _address(text: str) -> Address | None:
    """Parse an address with or without a port. An IPv4-mapped IPv6 address becomes IPv4."""
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(text if match is None else match["six"] or match["four"])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return None if address.scope_id is not None else address.ipv4_mapped or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
