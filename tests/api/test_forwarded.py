"""Where a request came from, behind proxies: what they say is believed as far as they are trusted, and no further."""

from ipaddress import ip_network
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.node import OPERATOR_KEY, bearer, running_node
from api.organization import SUBSCRIPTION, Organization, taken
from packhook.api.forwarded import source_of

TRUSTED: Final = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))
PROXY: Final = "10.0.0.8"
CLIENT: Final = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        pytest.param(PROXY, [CLIENT], CLIENT, id="one proxy"),
        pytest.param(PROXY, [f"{CLIENT}, 10.0.0.7,10.0.0.6"], CLIENT, id="several"),
        pytest.param(PROXY, ["1.1.1.1, 2.2.2.2", f"{CLIENT}, 10.0.0.7"], CLIENT, id="several lines, in their order"),
        pytest.param(PROXY, [f"10.0.0.1, {CLIENT}"], CLIENT, id="a client that says it is a proxy"),
        pytest.param(PROXY, [f"<b>, {CLIENT}"], CLIENT, id="behind the client's nothing is read"),
        pytest.param(PROXY, ["10.0.0.5, 10.0.0.7"], "10.0.0.5", id="all trusted: the first"),
        pytest.param(PROXY, [], PROXY, id="no header"),
        pytest.param(PROXY, [""], PROXY, id="empty"),
        pytest.param(PROXY, [f"{CLIENT}, "], PROXY, id="an empty end"),
        pytest.param(PROXY, [f"{CLIENT}, unknown"], PROXY, id="unknown"),
        pytest.param(PROXY, [f"{CLIENT}, shop.example"], PROXY, id="a name"),
        pytest.param(PROXY, ["203.0.113.009"], PROXY, id="octal or not, who knows"),
        pytest.param(PROXY, ["fe80::1%eth0"], PROXY, id="a zone"),
        pytest.param(PROXY, [f"{CLIENT}:4711"], CLIENT, id="a port"),
        pytest.param(PROXY, [f"{CLIENT}:port"], PROXY, id="no port"),
        pytest.param(PROXY, ["2001:DB8:2::0:7"], "2001:db8:2::7", id="IPv6"),
        pytest.param(PROXY, ["[2001:db8:2::7]:4711"], "2001:db8:2::7", id="IPv6 and a port"),
        pytest.param(PROXY, ["[2001:db8:2::7]"], "2001:db8:2::7", id="IPv6 in brackets"),
        pytest.param(PROXY, [f"{CLIENT}, 2001:db8:1::5"], CLIENT, id="a proxy over IPv6"),
        pytest.param(PROXY, [f"{CLIENT}, ::ffff:10.0.0.7"], CLIENT, id="a proxy in IPv6 clothes"),
        pytest.param("::ffff:10.0.0.8", [f"::ffff:{CLIENT}"], CLIENT, id="as an IPv6 socket sees them"),
        pytest.param("198.51.100.4", [CLIENT], "198.51.100.4", id="nobody's proxy"),
        pytest.param("unknown", [CLIENT], "unknown", id="no address"),
    ],
)
def test_the_last_address_that_is_no_proxys(peer: str, forwarded: list[str], source: str) -> None:
    """From right to left; what is no address on the way leaves the connection's own."""
    assert source_of(peer, forwarded, TRUSTED) == source
    assert source_of(peer, forwarded, ()) == peer


@settings(derandomize=True, database=None)
@given(written=st.lists(st.text(max_size=40), max_size=3))
def test_what_a_client_writes_changes_nothing(written: list[str]) -> None:
    """Whatever it is: the proxy's own word stands to the right of it."""
    assert source_of(PROXY, [*written, CLIENT], TRUSTED) == CLIENT
    if written:
        assert source_of(PROXY, [*written[:-1], f"{written[-1]}, {CLIENT}"], TRUSTED) == CLIENT


@pytest.mark.parametrize(("trusted", "source"), [("127.0.0.1/32, 10.0.0.0/8", CLIENT), ("10.0.0.0/8", "127.0.0.1")])
async def test_the_trail_has_the_clients_address(tmp_path: Path, trusted: str, source: str) -> None:
    """Over HTTP, where the connection is from a trusted proxy, and only there."""
    said = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", f"{CLIENT}, 10.0.0.7"), ("forwarded", "for=1.1.1.1")]
    with running_node(tmp_path, trusted_proxies=trusted) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY)) as api:
            organization = await Organization.made(api)
            taken(await api.post(f"{organization.path}/webhooks", json=SUBSCRIPTION, headers=said), 201)
            page = taken(await organization.ask("GET", "/audit", params={"action": "webhook.created"}), 200)
    assert [entry["source"] for entry in page["data"]] == [source]
