"""Test ``packhook events`` and ``deliveries``: publish every form of input, and follow a delivery."""

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Final

import pytest

from cli.terminal import Json, Terminal
from packhook.testing import Receiver, Status
from support.api_node import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATED: Final = {"event_code": "order.created", "data": {"id": "ord_1", "name": "Zoë 李"}}
SHIPPED: Final = {"event_code": "order.shipped", "data": {"id": "ord_2"}}
LINES: Final = json.dumps(CREATED) + "\n\n" + json.dumps(SHIPPED) + "\n"
BARE: Final = '{"id": "ord_1"}\n{"id": "ord_2"}\n'
WHOLE: Final = json.dumps(CREATED, indent=2)

# What is given, with which options; the event codes that are published.
FORMS: Final = {
    "an object": (WHOLE, (), ["order.created"]),
    "an array": (json.dumps([CREATED, SHIPPED]), (), ["order.created", "order.shipped"]),
    "a batch": (json.dumps({"events": [CREATED, SHIPPED]}), (), ["order.created", "order.shipped"]),
    "lines": (LINES, (), ["order.created", "order.shipped"]),
    "bare data": (BARE, ("--event-code", "order.canceled"), ["order.canceled"] * 2),
}
REFUSED: Final = {
    "nothing": (b"", "expected 1 to 1000 events, got 0"),
    "no JSON": (b'{"event_code": ', "line 1 is not JSON"),
    "one bad line": (b'{"a": 1}\n\n{"b": \n', "line 3 is not JSON"),
    "too many": (b"{}\n" * 1_001, "expected 1 to 1000 events, got 1001"),
    "not UTF-8": (b'{"a": "\xff"}', "standard input is not UTF-8: byte 7"),
    "not an event": (b"[1, 2]", "/events/0"),
    "an unknown code": (b'{"event_code": "orders.created", "data": {"id": "1"}}', "did you mean `order.created`?"),
}


def _receipts(answer: Json) -> list[Json]:
    receipts: list[Json] = answer.get("data", [answer])
    return receipts


@pytest.mark.parametrize(("given", "options", "codes"), FORMS.values(), ids=FORMS)
async def test_publishing_takes_events_in_every_form(
    terminal: Terminal, given: str, options: tuple[str, ...], codes: list[str]
) -> None:
    """Publish from standard input; print the receipts in order."""
    receipts = _receipts(await terminal.json("events", "publish", *options, given=given))
    assert [receipt["event_code"] for receipt in receipts] == codes
    listed = (await terminal.get("/events"))["data"]
    assert [event["id"] for event in reversed(listed)] == [receipt["id"] for receipt in receipts]
    assert [event["data"]["id"] for event in reversed(listed)] == ["ord_1", "ord_2"][: len(codes)]


async def test_publishing_from_a_file(terminal: Terminal) -> None:
    """Publish from a file in UTF-8; ``-`` is standard input."""
    file = terminal.node.folder / f"{terminal.organization}.json"
    file.write_text(json.dumps(CREATED, ensure_ascii=False), "utf-8")
    receipts = [
        await terminal.json("events", "publish", str(file)),
        await terminal.json("events", "publish", "-", given=WHOLE),
    ]
    for receipt in receipts:
        assert (await terminal.get(f"/events/{receipt['id']}"))["data"] == CREATED["data"]


async def test_the_same_idempotency_key_publishes_once(terminal: Terminal) -> None:
    """Print the same receipt again; with another body it is a conflict."""
    words = ("events", "publish", "--idempotency-key", "order-1-created")
    first = await terminal.json(*words, given=WHOLE)
    assert await terminal.json(*words, given=WHOLE) == first
    assert (await terminal.run(*words, given=json.dumps(SHIPPED))).code == 5
    assert len((await terminal.get("/events"))["data"]) == 1


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
async def test_an_invalid_event_is_refused(terminal: Terminal, given: bytes, words: str) -> None:
    """Exit 2 with a message that says where; publish nothing."""
    code, out, err = await terminal.run("events", "publish", given=given)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert (await terminal.get("/events"))["data"] == []


async def test_a_missing_file(terminal: Terminal) -> None:
    """Exit 2 with a message that names the file."""
    code, out, err = await terminal.run("events", "publish", "nowhere.json")
    assert (code, out) == (2, "")
    assert "cannot read nowhere.json" in err


async def test_following_a_delivery(terminal: Terminal) -> None:
    """List the delivery by every filter, show its attempts in words, and retry it when it is finished."""
    async with Receiver(Status(500, {"x-why": "down"}, b"no\x00pe")) as receiver:
        webhook = await terminal.json(
            "webhooks", "create", "--event-code", "order.created", "--endpoint", receiver.url + "/orders"
        )
        event = await terminal.json("events", "publish", given=WHOLE)
        (delivery,) = (await terminal.json("events", "show", event["id"]))["deliveries"]
        detail = await _finished(terminal, delivery["id"])
        assert (detail["status"], detail["attempt_count"]) == ("exhausted", 3)
        assert await terminal.json("deliveries", "show", delivery["id"]) == detail
        await _assert_listed(terminal, delivery["id"], webhook["id"], event["id"])
        shown = await terminal.output("deliveries", "show", delivery["id"])
        receiver.answer = Status(200)
        assert (await terminal.json("deliveries", "retry", delivery["id"]))["id"] == delivery["id"]
        detail = await _finished(terminal, delivery["id"])
    assert (detail["status"], detail["attempt_count"]) == ("delivered", 4)
    assert [len(receiver.received), receiver.received[0].path] == [4, "/orders"]
    failed = "answered 500 Internal Server Error: the endpoint failed: its own logs say why"
    assert shown.count(failed) == 3
    for said in (
        "exhausted",
        "Attempt 1 at ",
        "Attempt 3 at ",
        "  < x-why: down",
        "  > webhook-attempt: 3",
        r"no\x00pe",
    ):
        assert said in shown


async def _finished(terminal: Terminal, delivery_id: str) -> Json:
    """Wait until the delivery is finished and return it."""

    async def detail() -> Json:
        return await terminal.get(f"/deliveries/{delivery_id}")

    return await eventually(detail, lambda detail: detail["status"] in ("delivered", "exhausted"))


async def _assert_listed(terminal: Terminal, delivery_id: str, webhook_id: str, event_id: str) -> None:
    """Check that it is in the lists that match and in no other."""
    filters = [
        (("--webhook-id", webhook_id, "--event-id", event_id, "--event-code", "order.created", "--per-page", "1"), 1),
        (("--status", "exhausted", "--since", "2024-01-01T00:00:00Z", "--until", "2099-01-01T00:00:00Z"), 1),
        (("--until", "2024-01-01T00:00:00Z"), 0),
    ]
    lists = await asyncio.gather(*(terminal.json("deliveries", "list", *words) for words, _ in filters))
    assert [[item["id"] for item in found["data"]] for found in lists] == [
        [delivery_id] * count for _, count in filters
    ]


async def test_the_next_attempts_are_shown(terminal: Terminal) -> None:
    """Show the times of the next attempts of a delivery that failed."""
    async with Receiver(Status(500)) as receiver:
        words = ("--event-code", "order.created", "--endpoint", receiver.url, "--retry-schedule", "1h,2h")
        await terminal.json("webhooks", "create", *words)
        await terminal.json("events", "publish", given=WHOLE)
        await receiver.wait_for(1)

        async def listed() -> Json:
            return (await terminal.get("/deliveries"))["data"][0]

        delivery = await eventually(listed, lambda delivery: delivery["attempt_count"] == 1)
        shown = await terminal.output("deliveries", "show", delivery["id"])
    assert f"Next attempts if every one fails: {delivery['next_attempt_at']}, " in shown


async def test_the_feed_prints_each_event_once(terminal: Terminal) -> None:
    """Go on from the cursor in the file; with --json a line is what a receiver gets, otherwise it is for people."""
    file = terminal.node.folder / f"{terminal.organization}.cursor"
    options = ("events", "feed", "--once", "--cursor-file", str(file))
    published = []
    for number, given in enumerate((WHOLE, json.dumps([CREATED, SHIPPED]), "")):
        receipts = _receipts(await terminal.json("events", "publish", given=given)) if given else []
        lines = (await terminal.output(*options, "--json", "--limit", "1")).splitlines()
        assert [json.loads(line)["id"] for line in lines] == [receipt["id"] for receipt in receipts], number
        published += receipts
    _, out, err = await terminal.run("events", "feed", "--once", "--event-codes", "order.shipped")
    assert out.split("  ", 2)[1:] == ["order.shipped", f'{published[-1]["id"]}  {{"id": "ord_2"}}\n']
    cursor = file.read_text("ascii").strip()
    assert err == f"Go on with: --after {cursor}\n"


async def test_the_feed_begins_now(terminal: Terminal) -> None:
    """With ``latest``: what was published before is left out, what comes later is not."""
    await terminal.json("events", "publish", given=WHOLE)
    file = terminal.node.folder / f"{terminal.organization}.cursor"
    options = ("events", "feed", "--once", "--json", "--cursor-file", str(file))
    assert await terminal.output(*options, "--after", "latest") == ""
    receipt = await terminal.json("events", "publish", given=WHOLE)
    (line,) = (await terminal.output(*options)).splitlines()
    assert json.loads(line)["id"] == receipt["id"]


async def test_an_expired_cursor_of_the_feed(terminal: Terminal) -> None:
    """Exit 5, and say what to do."""
    ahead = urlsafe_b64encode(f"feed:{terminal.organization}:{2**62}:".encode()).decode().rstrip("=")
    code, out, err = await terminal.run("events", "feed", "--once", "--after", ahead)
    assert (code, out) == (5, "")
    assert err == "Events behind this cursor are not kept any more: read from the beginning.\n"
