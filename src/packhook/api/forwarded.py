"""Where a request came from, behind proxies that the operator trusts: what each of them appends to a header.

::

    X-Forwarded-For: anything, that, a client, may write, 203.0.113.9, 10.0.0.7     connection from 10.0.0.8
                                                          └ the client    └──── trusted proxies ────┘

Read from the right: each address was written by whoever has the one behind it, so the first that is no trusted proxy's
is the last that can be believed (RFC 7239, 8.1).
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from packhook.core.ip_policy import Address, Network

_WITH_PORT: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))(?::\d{1,5})?")


def source_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address; ``peer`` is the connection's own, ``forwarded`` the values of ``X-Forwarded-For``.

    The connection's own too where it is no trusted proxy's, or what a trusted one wrote is no address. Where all of
    them are trusted it is the first of the header.
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


def _address(text: str) -> Address | None:
    """With or without a port; an IPv4 address that came over an IPv6 socket is IPv4."""
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
