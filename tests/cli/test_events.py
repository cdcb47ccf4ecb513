"""``packhook events`` and ``deliveries``: publishing whatever is given, and following what becomes of it."""

import asyncio
import json
from typing import Final

import pytest

from api.node import eventually
from cli.terminal import Json, Terminal
from packhook.testing import Receiver, Status

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
    "bare data": (BARE, ("--code", "order.canceled"), ["order.canceled"] * 2),
}
REFUSED: Final = {
    "nothing": (b"", "expected 1 to 1000 events, got 0"),
    "no JSON": (b'{"event_code": ', "line 1 is not JSON"),
    "one bad line": (b'{"a": 1}\n\n{"b": \n', "line 3 is not JSON"),
    "too many": (b"{}\n" * 1_001, "expected 1 to 1000 events, got 1001"),
    "not UTF-8": (b'{"a": "\xff"}', "cannot read -"),
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
    """From standard input; each has its receipt, in the order it came, and is there to be read."""
    receipts = _receipts(await terminal.asked("events", "publish", *options, given=given))
    assert [receipt["event_code"] for receipt in receipts] == codes
    listed = (await terminal.get("/events"))["data"]
    assert [event["id"] for event in reversed(listed)] == [receipt["id"] for receipt in receipts]
    assert [event["data"]["id"] for event in reversed(listed)] == ["ord_1", "ord_2"][: len(codes)]


async def test_publishing_from_a_file(terminal: Terminal) -> None:
    """Named by its path, UTF-8; ``-`` is standard input said out loud."""
    file = terminal.node.folder / f"{terminal.organization}.json"
    file.write_text(json.dumps(CREATED, ensure_ascii=False), "utf-8")
    receipts = [
        await terminal.asked("events", "publish", str(file)),
        await terminal.asked("events", "publish", "-", given=WHOLE),
    ]
    for receipt in receipts:
        assert (await terminal.get(f"/events/{receipt['id']}"))["data"] == CREATED["data"]


async def test_the_same_idempotency_key_publishes_once(terminal: Terminal) -> None:
    """The same receipt again; with another body it is a conflict."""
    words = ("events", "publish", "--idempotency-key", "order-1-created")
    first = await terminal.asked(*words, given=WHOLE)
    assert await terminal.asked(*words, given=WHOLE) == first
    assert (await terminal.type(*words, given=json.dumps(SHIPPED))).code == 5
    assert len((await terminal.get("/events"))["data"]) == 1


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_event_is_refused(terminal: Terminal, given: bytes, words: str) -> None:
    """With a sentence that says where, exit 2, and nothing is published."""
    code, out, err = await terminal.type("events", "publish", given=given)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert (await terminal.get("/events"))["data"] == []


async def test_a_file_that_is_not_there(terminal: Terminal) -> None:
    """Its name, and exit 2."""
    code, out, err = await terminal.type("events", "publish", "nowhere.json")
    assert (code, out) == (2, "")
    assert "cannot read nowhere.json" in err


async def test_following_a_delivery(terminal: Terminal) -> None:
    """Listed by what it is, shown with every attempt, in words too, and sent again when it is finished."""
    async with Receiver(Status(500, {"x-why": "down"}, b"no\x00pe")) as receiver:
        webhook = await terminal.asked(
            "webhooks", "create", "--event-code", "order.created", "--endpoint", receiver.url + "/orders"
        )
        event = await terminal.asked("events", "publish", given=WHOLE)
        (delivery,) = (await terminal.asked("events", "show", event["id"]))["deliveries"]
        story = await _finished(terminal, delivery["id"])
        assert (story["status"], story["attempt_count"]) == ("exhausted", 3)
        assert await terminal.asked("deliveries", "show", delivery["id"]) == story
        await _assert_listed(terminal, delivery["id"], webhook["id"], event["id"])
        told = await terminal.done("deliveries", "show", delivery["id"])
        receiver.answer = Status(200)
        assert (await terminal.asked("deliveries", "retry", delivery["id"]))["id"] == delivery["id"]
        story = await _finished(terminal, delivery["id"])
    assert (story["status"], story["attempt_count"]) == ("delivered", 4)
    assert [len(receiver.received), receiver.received[0].path] == [4, "/orders"]
    failed = "answered 500 Internal Server Error: the endpoint failed: its own logs say why"
    assert told.count(failed) == 3
    for said in (
        "exhausted",
        "Attempt 1 at ",
        "Attempt 3 at ",
        "  < x-why: down",
        "  > webhook-attempt: 3",
        r"no\x00pe",
    ):
        assert said in told


async def _finished(terminal: Terminal, delivery_id: str) -> Json:
    """The delivery, once it is finished, as the API has it."""

    async def story() -> Json:
        return await terminal.get(f"/deliveries/{delivery_id}")

    return await eventually(story, lambda story: story["status"] in ("delivered", "exhausted"))


async def _assert_listed(terminal: Terminal, delivery_id: str, webhook_id: str, event_id: str) -> None:
    """It is in the lists that it belongs to and in no other."""
    filters = [
        (("--webhook-id", webhook_id, "--event-id", event_id, "--event-code", "order.created", "--per-page", "1"), 1),
        (("--status", "exhausted", "--since", "2024-01-01T00:00:00Z", "--until", "2099-01-01T00:00:00Z"), 1),
        (("--until", "2024-01-01T00:00:00Z"), 0),
    ]
    lists = await asyncio.gather(*(terminal.asked("deliveries", "list", *words) for words, _ in filters))
    assert [[each["id"] for each in found["data"]] for found in lists] == [
        [delivery_id] * count for _, count in filters
    ]


async def test_what_waits_is_told(terminal: Terminal) -> None:
    """A delivery that failed and tries again shows the times still to come."""
    async with Receiver(Status(500)) as receiver:
        words = ("--event-code", "order.created", "--endpoint", receiver.url, "--retry-schedule", "1h,2h")
        await terminal.asked("webhooks", "create", *words)
        await terminal.asked("events", "publish", given=WHOLE)
        await receiver.wait_for(1)

        async def listed() -> Json:
            return (await terminal.get("/deliveries"))["data"][0]

        delivery = await eventually(listed, lambda delivery: delivery["attempt_count"] == 1)
        told = await terminal.done("deliveries", "show", delivery["id"])
    assert f"Next attempts if every one fails: {delivery['next_attempt_at']}, " in told
