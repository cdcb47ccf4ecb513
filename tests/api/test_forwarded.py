"""Test the source of a request behind proxies: ``X-Forwarded-For`` counts as far as its writers are trusted."""

from ipaddress import ip_network
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.organization import SUBSCRIPTION, Organization, body_of
from packhook.api.forwarded import source_of
from support.api_node import OPERATOR_KEY, bearer, running_node

TRUSTED: Final = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))
PROXY: Final = "10.0.0.8"
CLIENT: Final = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        pytest.param(PROXY, [CLIENT], CLIENT, id="one proxy"),
        pytest.param(PROXY, [f"{CLIENT}, 10.0.0.7,10.0.0.6"], CLIENT, id="several"),
        pytest.param(PROXY, ["1.1.1.1, 2.2.2.2", f"{CLIENT}, 10.0.0.7"], CLIENT, id="several lines, in their order"),
        pytest.param(PROXY, [f"10.0.0.1, {CLIENT}"], CLIENT, id="a client that claims to be a proxy"),
        pytest.param(PROXY, [f"<b>, {CLIENT}"], CLIENT, id="nothing left of the client is read"),
        pytest.param(PROXY, ["10.0.0.5, 10.0.0.7"], "10.0.0.5", id="all trusted: the first"),
        pytest.param(PROXY, [], PROXY, id="no header"),
        pytest.param(PROXY, [""], PROXY, id="empty"),
        pytest.param(PROXY, [f"{CLIENT}, "], PROXY, id="an empty end"),
        pytest.param(PROXY, [f"{CLIENT}, unknown"], PROXY, id="unknown"),
        pytest.param(PROXY, [f"{CLIENT}, shop.example"], PROXY, id="a name"),
        pytest.param(PROXY, ["203.0.113.009"], PROXY, id="ambiguous octal"),
        pytest.param(PROXY, ["fe80::1%eth0"], PROXY, id="a zone"),
        pytest.param(PROXY, [f"{CLIENT}:4711"], CLIENT, id="a port"),
        pytest.param(PROXY, [f"{CLIENT}:port"], PROXY, id="not a port"),
        pytest.param(PROXY, ["2001:DB8:2::0:7"], "2001:db8:2::7", id="IPv6"),
        pytest.param(PROXY, ["[2001:db8:2::7]:4711"], "2001:db8:2::7", id="IPv6 and a port"),
        pytest.param(PROXY, ["[2001:db8:2::7]"], "2001:db8:2::7", id="IPv6 in brackets"),
        pytest.param(PROXY, [f"{CLIENT}, 2001:db8:1::5"], CLIENT, id="a proxy over IPv6"),
        pytest.param(PROXY, [f"{CLIENT}, ::ffff:10.0.0.7"], CLIENT, id="an IPv4-mapped proxy"),
        pytest.param("::ffff:10.0.0.8", [f"::ffff:{CLIENT}"], CLIENT, id="as an IPv6 socket sees them"),
        pytest.param("198.51.100.4", [CLIENT], "198.51.100.4", id="an untrusted peer"),
        pytest.param("unknown", [CLIENT], "unknown", id="not an address"),
    ],
)
def test_the_source_is_the_last_untrusted_address(peer: str, forwarded: list[str], source: str) -> None:
    """Read from right to left; anything that is not an address leaves the peer's own."""
    assert source_of(peer, forwarded, TRUSTED) == source
    assert source_of(peer, forwarded, ()) == peer


@settings(derandomize=True, database=None)
@given(written=st.lists(st.text(max_size=40), max_size=3))
def test_what_a_client_writes_changes_nothing(written: list[str]) -> None:
    """The proxy's own entry stands to the right of it."""
    assert source_of(PROXY, [*written, CLIENT], TRUSTED) == CLIENT
    if written:
        assert source_of(PROXY, [*written[:-1], f"{written[-1]}, {CLIENT}"], TRUSTED) == CLIENT


@pytest.mark.parametrize(("trusted", "source"), [("127.0.0.1/32, 10.0.0.0/8", CLIENT), ("10.0.0.0/8", "127.0.0.1")])
async def test_the_audit_trail_has_the_clients_address(tmp_path: Path, trusted: str, source: str) -> None:
    """Only if the connection comes from a trusted proxy."""
    headers = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", f"{CLIENT}, 10.0.0.7"), ("forwarded", "for=1.1.1.1")]
    with running_node(tmp_path, trusted_proxies=trusted) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            organization = await Organization.create(api)
            body_of(await api.post(f"{organization.path}/webhooks", json=SUBSCRIPTION, headers=headers), 201)
            page = body_of(await organization.ask("GET", "/audit", params={"action": "webhook.created"}), 200)
    assert [entry["source"] for entry in page["data"]] == [source]
