"""``packhook selftest receivers``: every row as expected, and a weakness is told."""

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
from packhook.delivery.http.exchange import Exchange
from packhook.testing import EndlessBody, Hang, HangUp, Status, Unasked


def only(monkeypatch: pytest.MonkeyPatch, *hostile: Hostile) -> None:
    """Run these instead of all."""
    monkeypatch.setattr(receivers, "hostile_receivers", lambda: hostile)


def test_every_row_is_as_expected() -> None:
    """Deadline, memory, outcome in words, and the attempts afterwards, of the installed build."""
    command = [sys.executable, "-m", "packhook", "selftest", "receivers", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    told: dict[str, Any] = json.loads(ran.stdout)
    assert [row for row in told["rows"] if row["verdict"] != "ok"] == []
    assert (ran.returncode, told["as_expected"], told["wrong"]) == (0, len(hostile_receivers()) + 1, 0)
    assert all(" ms, " in row["measured"] for row in told["rows"][:-1])


async def test_another_outcome_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it came to."""
    only(monkeypatch, Hostile("", "well-behaved", Status(200), ("answer 500, 0 bytes",)))
    first, _ = await rows_of_receivers()
    assert (first.verdict, first.happened) == ("WRONG", "answer 200, 0 bytes")


async def test_a_missed_deadline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the time allowed is negative."""
    monkeypatch.setattr(receivers, "LATE", -receivers.TIMEOUT - 1)
    only(monkeypatch, Hostile("", "closed", HangUp(), hostile_receivers()[0].expected))
    first, _ = await rows_of_receivers()
    assert "took" in first.happened


async def test_memory_that_grows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the body of an answer has no limit but the time."""
    monkeypatch.setattr(response_parser, "BODY_LIMIT", 2**40)
    only(monkeypatch, Hostile("", "a body without end", EndlessBody(), ()))
    first, _ = await rows_of_receivers()
    assert "memory grew by" in first.happened


async def test_an_answer_that_is_taken_for_another_requests_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no kept connection is looked at, and what nobody asked for is kept for the next request."""
    take, begin = connection.Connection._take, connection.Connection.begin
    unasked: dict[connection.Connection, bytes] = {}

    def keep(own: connection.Connection, data: bytes) -> None:
        if own.exchange is None:
            unasked[own] = data
        else:
            take(own, data)

    def begin_with_it(own: connection.Connection, exchange: Exchange) -> bool:
        begun = begin(own, exchange)
        if own in unasked:
            asyncio.get_running_loop().call_soon(take, own, unasked.pop(own))
        return begun

    monkeypatch.setattr(connection, "is_readable", lambda _: False)
    monkeypatch.setattr(connection, "read_tcp_info", lambda _: None)
    monkeypatch.setattr(connection.Connection, "_take", keep)
    monkeypatch.setattr(connection.Connection, "begin", begin_with_it)
    only(monkeypatch, Hostile("", "unasked", Unasked(), ("answer 200, 0 bytes",), until_done=0.2))
    first, _ = await rows_of_receivers()
    assert "10 of 10 afterwards came to answer 200, 7 bytes" in first.happened


async def test_a_slow_one_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how long it took."""
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
def test_exit_is_good_only_if_every_row_is(verdicts: tuple[Any, ...], *, skipping: bool, good: bool) -> None:
    """No rows at all are not good; a skipped one is where skipping is allowed, which is not so where ``CI`` is set."""
    assert are_good([Row("", "", "", "", verdict) for verdict in verdicts], skipping=skipping) is good
