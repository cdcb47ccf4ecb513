"""Test ``packhook doctor``: what it sends without a node, by which settings, and how it ends."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog
from typer.testing import CliRunner, Result

from cli.terminal import Terminal
from packhook.cli.exits import Exit
from packhook.cli.main import app
from packhook.testing import Receiver, Status

SECRET: Final = "q9NhjkjV9o"


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the settings open loopback; restore the log, which the command turns off."""
    monkeypatch.setenv("PACKHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("PACKHOOK_EGRESS_ALLOW", "127.0.0.0/8")
    before = structlog.get_config()
    yield
    structlog.configure(**before)


async def doctor(*words: str) -> Result:
    """Run the command in this process, beside the receiver."""
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["doctor", *words]))


async def test_without_a_secret_no_order_is_sent() -> None:
    """Sign with a random secret, and send no data: a receiver that checks nothing does nothing with it."""
    async with Receiver(Status(401), secrets=(SECRET,)) as receiver:
        ran = await doctor(receiver.url)
        (received,) = receiver.received
    assert (ran.exit_code, received.verified, received.method) == (0, False, "POST")
    body = json.loads(received.body)
    assert (body["type"], body["data"], received.headers["webhook-event"]) == ("packhook.doctor", {}, "packhook.doctor")
    summary, _, *lines = ran.output.splitlines()
    assert summary.startswith("The endpoint can be reached, and refuses a wrong signature: ")
    assert lines[:2] == [
        "WARNING  url          The endpoint is plain http: events cross the network unencrypted.",
        "                      Fix: Serve the endpoint over https, and change its URL.",
    ]


async def test_with_the_secret_an_example_is_sent() -> None:
    """Send what a test event sends, and print the same as the API."""
    async with Receiver(secrets=(SECRET,)) as receiver:
        ran = await doctor(receiver.url, "--secret", SECRET, "--event-code", "order.shipped", "--json")
        (received,) = receiver.received
    report = json.loads(ran.output)
    assert (ran.exit_code, received.verified, json.loads(received.body)["type"]) == (0, True, "order.shipped")
    assert (report["level"], report["attempt"]["status_code"]) == ("warning", 200)
    assert [finding["check"] for finding in report["findings"]][-2:] == ["status", "latency"]


async def test_a_type_of_ones_own(tmp_path: Path) -> None:
    """Send the data of a file; without it there is no example, and nothing is sent."""
    file = tmp_path / "lost.json"
    file.write_text('{"id": "prc_1"}')
    async with Receiver(secrets=(SECRET,)) as receiver:
        words = (receiver.url, "--secret", SECRET, "--event-code", "parcel.lost")
        without = await doctor(*words)
        ran = await doctor(*words, "--data", str(file))
        (received,) = receiver.received
    body = json.loads(received.body)
    assert (without.exit_code, "--data: parcel.lost is not built in" in without.stderr) == (Exit.USAGE, True)
    assert (ran.exit_code, received.verified, body["type"], body["data"]) == (0, True, "parcel.lost", {"id": "prc_1"})


async def test_a_problem_exits_with_1() -> None:
    """Say what is wrong and how to fix it, on standard output; no line of a log disturbs it."""
    async with Receiver() as receiver:
        url = receiver.url
    ran = await doctor(url)
    assert (ran.exit_code, ran.stderr) == (Exit.FAILED, "")
    assert "PROBLEM  connection   Connection refused: nothing listens at the endpoint's port." in ran.output


async def test_the_egress_settings_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to no address that a node here may not connect to."""
    monkeypatch.delenv("PACKHOOK_EGRESS_ALLOW")
    async with Receiver() as receiver:
        ran = await doctor(receiver.url)
        assert receiver.connections_made == 0
    assert (ran.exit_code, "The endpoint's address may not be connected to." in ran.output) == (Exit.FAILED, True)


async def test_wrong_options() -> None:
    """Name all that are wrong, and send nothing."""
    ran = await doctor("https://127.0.0.1:9/", "--secret", "short", "--event-code", "Order")
    assert ran.exit_code == Exit.USAGE
    assert "--event-code: expected at least two words" in ran.stderr
    assert "--secret: expected 8 to 255 characters, got 5" in ran.stderr


@pytest.mark.asyncio(loop_scope="module")
async def test_webhooks_diagnose(terminal: Terminal) -> None:
    """Print what the node found; exit 1 if deliveries fail."""
    words = ("--event-code", "order.created", "--endpoint", "http://127.0.0.1:9/", "--secret", SECRET)
    webhook = await terminal.json("webhooks", "create", *words)
    code, out, _ = await terminal.run("webhooks", "diagnose", webhook["id"])
    assert (code, "PROBLEM  connection   Connection refused" in out) == (Exit.FAILED, True)
