"""``packhook selftest egress``: every row as expected, nothing leaves, and a wrong guard is told."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from packhook.cli.selftest import egress as rows_of_decisions
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
    """The command, from a process without ``CI``."""
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, env=inherited | environment
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What the command says, as JSON."""
    ran = run("--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def test_every_row_is_as_expected(report: dict[str, Any]) -> None:
    """Also those that need sockets, wherever a namespace is to be had (always where ``CI`` is set)."""
    assert [row for row in report["rows"] if row["verdict"] == "WRONG"] == []
    assert report["skipped"] == (0 if os.environ.get("CI") else report["skipped"])
    assert report["as_expected"] + report["skipped"] == len(report["rows"]) > 250


def test_every_spelling_and_every_denied_network_has_its_rows(report: dict[str, Any]) -> None:
    """As literals, and of networks both ends, also as answers."""
    tried = {(row["group"], row["what"]) for row in report["rows"]}
    assert {(group, host) for group, hosts in HOSTILE.items() for host in hosts} <= tried
    told = " ".join(what for group, what in tried if group.startswith("denied"))
    assert all(f"first of {network}" in told for network in (*DENIED_IPV4, *DENIED_IPV6))


def test_the_ends_are_what_they_say() -> None:
    """Beside the table, by the table: nothing denied is called allowed."""
    assert not any(may_connect(address) for _, address in denied_ends())
    assert all(may_connect(address) for _, address in allowed_ends())


def test_the_table_shows_what_was_expected_and_what_happened() -> None:
    """With a line that counts, and hostile text made harmless."""
    shown = run(COLUMNS="240").stdout
    assert shown.split("\n")[0].split() == ["what", "expected", "happened", "verdict"]
    assert "0 wrong" in shown.splitlines()[-1]
    assert "\x00" not in shown
    assert r"127.0.0.1\x00" in shown


async def test_without_a_namespace_it_decides_only_and_says_so() -> None:
    """No row that opens a socket; one that says what was skipped."""
    *decided, last = await rows_of_egress(isolated=False)
    assert {row.verdict for row in decided} == {"ok"}
    assert not {"sent", "kept connection", "guard", "proxy"} & {row.group for row in decided}
    assert (last.group, last.verdict) == ("sockets", "skipped")


HOLES: Final = {
    "everything is let pass": lambda _address, _allow=(): True,
    "nothing is let pass": lambda _address, _allow=(): False,
    "one network is forgotten": lambda address, allow=(): (
        str(address).startswith("169.254.") or may_connect(address, allow)
    ),
    "mapped addresses are taken for what they are written as": lambda address, allow=(): (
        may_connect(address, allow) if address.version == 4 or address.ipv4_mapped is None else True
    ),
}  # fmt: skip


@pytest.mark.parametrize("hole", HOLES)
async def test_a_hole_in_the_table_is_found(monkeypatch: pytest.MonkeyPatch, hole: str) -> None:
    """A self-test that cannot fail would be worthless."""
    monkeypatch.setattr(judging, "may_connect", HOLES[hole])
    assert "WRONG" in {row.verdict for row in await rows_of_decisions.decided()}


async def test_a_decision_on_the_first_address_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad address behind a good one."""

    def first_only(self: judging.Egress, addresses: list[Address]) -> judging.Refused | None:  # noqa: ARG001 as it is called
        return None if may_connect(addresses[0]) else judging._BLOCKED

    monkeypatch.setattr(judging.Egress, "_judge", first_only)
    wrong = [row for row in await rows_of_decisions.decided() if row.verdict == "WRONG"]
    assert {row.group for row in wrong} == {"denied answer", "hostile answer"}


async def test_a_name_that_is_looked_up_only_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding."""
    monkeypatch.setattr(judging, "KEPT_SECONDS", 1e9)
    wrong = [row for row in await rows_of_decisions.decided() if row.verdict == "WRONG"]
    assert {row.group for row in wrong} == {"rebinding"}


@only_loopback
async def test_a_proxy_that_is_told_a_name_is_found() -> None:
    """And one whose guard lets sockets to elsewhere pass. Patched in a process of its own, which nothing leaves."""
    told, may_open = tunneling._ipv4_first, tunneling.ProxiedEgress.may_open
    tunneling._ipv4_first = lambda _: ("shop.test",)  # type: ignore[assignment] # a hole
    named = {row.what for row in await proxied() if row.verdict == "WRONG"}
    tunneling._ipv4_first = told
    tunneling.ProxiedEgress.may_open = lambda *_: True  # type: ignore[method-assign] # a hole
    opened = {row.what for row in await proxied() if row.verdict == "WRONG"}
    tunneling.ProxiedEgress.may_open = may_open  # type: ignore[method-assign] # as it was
    assert all(f"shop.test -> {address}, {what}" in named for what, address in allowed_ends())
    assert len(opened) >= len(BAD)


def test_rows_are_compared_whole() -> None:
    """What happened is what was expected, or that with words behind a colon."""
    cases = [("refused", "refused"), ("refused", "refused: why"), ("refused", "refused not"), ("allowed", "refused")]
    assert [row("", "", *case).verdict for case in cases] == ["ok", "ok", "WRONG", "WRONG"]
