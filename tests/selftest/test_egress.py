"""Test ``packhook selftest egress``: every row is as expected, nothing leaves, and a defect is found."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from packhook.cli.selftest import egress as decisions
from packhook.cli.selftest.namespace import rows_of_egress
from packhook.cli.selftest.proxied import proxied
from packhook.cli.selftest.rows import row
from packhook.cli.selftest.spellings import BAD, HOSTILE, allowed_ends, denied_ends
from packhook.core.ip_policy import DENIED_IPV4, DENIED_IPV6, Address, may_connect
from packhook.delivery.http import egress as judging
from packhook.delivery.http import egress_proxy as tunneling
from support.netns import only_loopback

COMMAND: Final = [sys.executable, "-m", "packhook", "selftest", "egress"]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command without ``CI`` in its environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, env=inherited | environment
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Return the output of the command, as JSON."""
    ran = run("--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def test_every_row_is_as_expected(report: dict[str, Any]) -> None:
    """Also those that need sockets, wherever a namespace is available (always if ``CI`` is set)."""
    assert [row for row in report["rows"] if row["verdict"] == "WRONG"] == []
    assert report["skipped"] == (0 if os.environ.get("CI") else report["skipped"])
    assert report["as_expected"] + report["skipped"] == len(report["rows"]) > 250


def test_every_spelling_and_every_denied_network_has_its_rows(report: dict[str, Any]) -> None:
    """Every spelling as a literal, and both ends of every network."""
    tried = {(row["group"], row["what"]) for row in report["rows"]}
    assert {(group, host) for group, hosts in HOSTILE.items() for host in hosts} <= tried
    text = " ".join(what for group, what in tried if group.startswith("denied"))
    assert all(f"first of {network}" in text for network in (*DENIED_IPV4, *DENIED_IPV6))


def test_the_ends_of_networks_are_denied_or_allowed() -> None:
    """The deny table agrees with both lists."""
    assert not any(may_connect(address) for _, address in denied_ends())
    assert all(may_connect(address) for _, address in allowed_ends())


def test_the_table_shows_what_was_expected_and_what_happened() -> None:
    """It ends with a count, and hostile text is escaped."""
    shown = run(COLUMNS="240").stdout
    assert shown.split("\n")[0].split() == ["what", "expected", "happened", "verdict"]
    assert "0 wrong" in shown.splitlines()[-1]
    assert "\x00" not in shown
    assert r"127.0.0.1\x00" in shown


async def test_without_a_namespace_only_decisions_run() -> None:
    """No row opens a socket; one says what was skipped."""
    *tried, last = await rows_of_egress(isolated=False)
    assert {row.verdict for row in tried} == {"ok"}
    assert not {"sent", "kept connection", "guard", "proxy"} & {row.group for row in tried}
    assert (last.group, last.verdict) == ("sockets", "skipped")


DEFECTS: Final = {
    "everything is allowed": lambda _address, _allow=(): True,
    "nothing is allowed": lambda _address, _allow=(): False,
    "one network is missing": lambda address, allow=(): (
        str(address).startswith("169.254.") or may_connect(address, allow)
    ),
    "mapped addresses are not unwrapped": lambda address, allow=(): (
        may_connect(address, allow) if address.version == 4 or address.ipv4_mapped is None else True
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_of_the_table_is_found(monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    """A self-test that cannot fail would be worthless."""
    monkeypatch.setattr(judging, "may_connect", DEFECTS[defect])
    assert "WRONG" in {row.verdict for row in await decisions.decided()}


async def test_a_decision_on_the_first_address_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad address follows a good one."""

    def first_only(self: judging.Egress, addresses: list[Address]) -> judging.Refused | None:  # noqa: ARG001 the signature of the method
        return None if may_connect(addresses[0]) else judging._BLOCKED

    monkeypatch.setattr(judging.Egress, "_judge", first_only)
    wrong = [row for row in await decisions.decided() if row.verdict == "WRONG"]
    assert {row.group for row in wrong} == {"denied answer", "hostile answer"}


async def test_a_missing_second_look_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a rebound name keeps its first address."""
    monkeypatch.setattr(judging, "KEPT_SECONDS", 1e9)
    wrong = [row for row in await decisions.decided() if row.verdict == "WRONG"]
    assert {row.group for row in wrong} == {"rebinding"}


@only_loopback
async def test_a_defect_of_the_proxied_egress_is_found() -> None:
    """The proxy gets a name, or a socket to another host is allowed. Runs in a process that nothing leaves."""
    ipv4_first, may_open = tunneling._ipv4_first, tunneling.ProxiedEgress.may_open
    tunneling._ipv4_first = lambda _: ("shop.test",)  # type: ignore[assignment] # a defect
    named = {row.what for row in await proxied() if row.verdict == "WRONG"}
    tunneling._ipv4_first = ipv4_first
    tunneling.ProxiedEgress.may_open = lambda *_: True  # type: ignore[method-assign] # a defect
    opened = {row.what for row in await proxied() if row.verdict == "WRONG"}
    tunneling.ProxiedEgress.may_open = may_open  # type: ignore[method-assign] # restore
    assert all(f"shop.test -> {address}, {what}" in named for what, address in allowed_ends())
    assert len(opened) >= len(BAD)


def test_rows_are_compared_whole() -> None:
    """A row is ok if both texts are equal, or details follow after a colon."""
    cases = [("refused", "refused"), ("refused", "refused: why"), ("refused", "refused not"), ("allowed", "refused")]
    assert [row("", "", *case).verdict for case in cases] == ["ok", "ok", "WRONG", "WRONG"]
