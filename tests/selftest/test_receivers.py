"""Test ``packhook selftest receivers``: every row is as expected, and a defect is reported."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from packhook.cli.selftest import receivers
from packhook.cli.selftest.hostile import Hostile, hostile_receivers
from packhook.cli.selftest.receivers import rows_of_receivers
from packhook.cli.selftest.rows import Row, are_good
from packhook.delivery.http import connection, response_parser
from packhook.delivery.http.connection import Exchange
from packhook.testing import EndlessBody, Hang, HangUp, Status, Unasked


def only(monkeypatch: pytest.MonkeyPatch, *hostile: Hostile) -> None:
    """Run these instead of all."""
    monkeypatch.setattr(receivers, "hostile_receivers", lambda: hostile)


def test_every_row_is_as_expected() -> None:
    """Deadline, memory, outcome, and the attempts afterwards, of the installed build."""
    command = [sys.executable, "-m", "packhook", "selftest", "receivers", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    result: dict[str, Any] = json.loads(ran.stdout)
    assert [row for row in result["rows"] if row["verdict"] != "ok"] == []
    assert (ran.returncode, result["as_expected"], result["wrong"]) == (0, len(hostile_receivers()) + 1, 0)
    assert all(" ms, " in row["measured"] for row in result["rows"][:-1])


async def test_another_outcome_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row has the actual outcome."""
    only(monkeypatch, Hostile("", "well-behaved", Status(200), ("response 500, 0 bytes",)))
    first, _ = await rows_of_receivers()
    assert (first.verdict, first.happened) == ("WRONG", "response 200, 0 bytes")


async def test_a_missed_deadline_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the allowed time is negative."""
    monkeypatch.setattr(receivers, "LATE", -receivers.TIMEOUT - 1)
    only(monkeypatch, Hostile("", "closed", HangUp(), hostile_receivers()[0].expected))
    first, _ = await rows_of_receivers()
    assert "took" in first.happened


async def test_growing_memory_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here only the timeout limits the body of a response."""
    monkeypatch.setattr(response_parser, "BODY_LIMIT", 2**40)
    monkeypatch.setattr(receivers, "TIMEOUT", 2_000)  # long enough on a busy machine
    only(monkeypatch, Hostile("", "a body without end", EndlessBody(), ()))
    first, _ = await rows_of_receivers()
    assert "memory grew by" in first.happened


async def test_a_response_to_the_wrong_request_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here kept connections are not checked, and unsolicited bytes are kept for the next request."""
    take, begin = connection.HttpConnection._take, connection.HttpConnection.begin
    unsolicited: dict[connection.HttpConnection, bytes] = {}

    def keep(own: connection.HttpConnection, data: bytes) -> None:
        if own.exchange is None:
            unsolicited[own] = data
        else:
            take(own, data)

    def begin_with_it(own: connection.HttpConnection, exchange: Exchange) -> bool:
        begun = begin(own, exchange)
        if own in unsolicited:
            asyncio.get_running_loop().call_soon(take, own, unsolicited.pop(own))
        return begun

    monkeypatch.setattr(connection, "is_readable", lambda _: False)
    monkeypatch.setattr(connection, "read_tcp_info", lambda _: None)
    monkeypatch.setattr(connection.HttpConnection, "_take", keep)
    monkeypatch.setattr(connection.HttpConnection, "begin", begin_with_it)
    only(monkeypatch, Hostile("", "unasked", Unasked(), ("response 200, 0 bytes",), until_done=0.2))
    first, _ = await rows_of_receivers()
    assert "10 of 10 afterwards came to response 200, 7 bytes" in first.happened


async def test_a_slow_receiver_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outcome is as expected."""
    slow = next(hostile for hostile in hostile_receivers() if hostile.behaviour == Hang())
    only(monkeypatch, slow)
    first, last = await rows_of_receivers()
    assert (first.verdict, last.verdict, first.happened) == ("ok", "ok", first.expected)


@pytest.mark.parametrize(
    ("verdicts", "skipping", "good"),
    [
        (("ok", "ok"), False, True),
        (("ok", "WRONG"), True, False),
        (("ok", "skipped"), True, True),
        (("ok", "skipped"), False, False),
        ((), True, False),
    ],
)
def test_the_result_is_good_only_if_every_row_is(verdicts: tuple[Any, ...], *, skipping: bool, good: bool) -> None:
    """An empty result is not good; a skipped row is good if skipping is allowed, that is, if ``CI`` is not set."""
    assert are_good([Row("", "", "", "", verdict) for verdict in verdicts], skipping=skipping) is good
