"""Test ``packhook replays`` against a running node, and relative times in every command that takes one."""

import json

import pytest

from cli.terminal import Terminal
from packhook.cli.exits import Exit
from packhook.testing import Receiver

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEVER = "http://127.0.0.1:9/never"


async def publish(terminal: Terminal, count: int) -> None:
    """Publish so many orders."""
    given = "\n".join(json.dumps({"id": f"ord_{number}"}) for number in range(count))
    await terminal.output("events", "publish", "--event-code", "order.created", given=given)


async def subscribe(terminal: Terminal, endpoint: str, *words: str) -> str:
    """Create a webhook and return its id."""
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", endpoint, *words)
    return str(made["id"])


async def test_start_shows_the_progress_until_the_end(terminal: Terminal) -> None:
    """The bar is on standard error, the finished replay on standard output."""
    await publish(terminal, 3)
    async with Receiver() as receiver:
        webhook = await subscribe(terminal, receiver.url)
        words = ("--webhook-id", webhook, "--select", "missing", "--since", "yesterday", "--yes")
        code, out, err = await terminal.run("replays", "start", *words)
        assert (code, len(receiver.received)) == (0, 3)
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (shown["status"], shown["matched"], shown["delivered"], shown["failed"]) == ("finished", "3", "3", "0")
    assert "3 of 3, 0 failed" in err


async def test_start_asks_before_it_sends(terminal: Terminal) -> None:
    """Without a terminal it refuses; a preview writes nothing; nothing to replay is no question."""
    await publish(terminal, 2)
    webhook = await subscribe(terminal, NEVER)
    words = ("replays", "start", "--webhook-id", webhook, "--since", "2h")
    code, out, err = await terminal.run(*words, "--select", "all")
    assert (code, out) == (Exit.USAGE, "")
    assert f"to webhook {webhook} again: there is no terminal to confirm it; give --yes" in err
    assert (await terminal.json(*words, "--select", "all", "--latest-only", "--preview"))["matched"] == 2
    assert (await terminal.output(*words, "--select", "failed")) == "No event matches: nothing to replay.\n"
    assert (await terminal.get("/replays"))["data"] == []


async def test_a_replay_that_fails_exits_with_1(terminal: Terminal) -> None:
    """The replay is finished, but what it sent was not delivered."""
    await publish(terminal, 1)
    webhook = await subscribe(terminal, NEVER)
    code, out, _ = await terminal.run(
        "replays", "start", "--webhook-id", webhook, "--select", "all", "--since", "today", "-y"
    )
    assert (code, "finished" in out) == (Exit.FAILED, True)


async def test_list_show_pause_resume_and_cancel(terminal: Terminal) -> None:
    """Each prints the replay; to show a canceled one with --follow ends at once."""
    await publish(terminal, 1)
    webhook = await subscribe(terminal, NEVER, "--retry-schedule", "1h")
    words = ("--webhook-id", webhook, "--select", "missing", "--since", "2020-01-01", "--event-codes", "order.created")
    replay = await terminal.json("replays", "start", *words, "--yes", "--idempotency-key", "k")
    assert replay["event_codes"] == ["order.created"]
    again = await terminal.output("replays", "start", *words, "--yes", "--detach", "--idempotency-key", "k")
    assert replay["id"] in again
    for command, status in (("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
        assert (await terminal.json("replays", command, replay["id"]))["status"] == status
    listed = await terminal.json("replays", "list", "--webhook-id", webhook, "--status", "canceled")
    assert [item["id"] for item in listed["data"]] == [replay["id"]]
    code, out, _ = await terminal.run("replays", "show", replay["id"], "--follow")
    assert (code, "canceled" in out) == (Exit.FAILED, True)
    assert (await terminal.json("replays", "show", replay["id"]))["status"] == "canceled"


@pytest.mark.parametrize("words", [("deliveries", "list"), ("audit", "list")], ids=" ".join)
async def test_relative_times_are_accepted_everywhere(terminal: Terminal, words: tuple[str, ...]) -> None:
    """By every --since and --until; what is no time is named with its option."""
    await publish(terminal, 1)
    await subscribe(terminal, NEVER)
    assert await terminal.json(*words, "--since", "2h", "--until", "1h") == {
        "data": [], "prev": None, "next": None, "per_page": 25
    }  # fmt: skip
    await terminal.json(*words, "--since", "yesterday")
    code, out, err = await terminal.run(*words, "--since", "soon", "--until", "2026-13-01")
    assert (code, out) == (Exit.USAGE, "")
    assert [line.split(":")[0] for line in err.splitlines()] == ["--since", "--until"]
