"""Test ``packhook trigger``: an example event to any URL that the egress rules allow, and what is said of others."""

import json
from pathlib import Path
from typing import Final

import pytest

from cli.terminal import Terminal
from packhook.cli.exits import Exit
from packhook.core.event_types import EVENT_TYPES
from packhook.testing import Receiver, Status
from support.processes import packhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET: Final = "q9NhjkjV9o"
ALLOWED: Final = {"egress_allow": "127.0.0.0/8", "allow_http": "true"}


async def test_the_example_of_a_built_in_type_is_sent_signed() -> None:
    """Send it as a delivery, without a node; print request, response and verdict; exit 0."""
    async with Receiver(Status(202, body=b"ok\x1b[0m"), secrets=(SECRET,)) as receiver:
        words = ("trigger", "order.shipped", "--to", f"{receiver.url}/x", "--secret-file", "-")
        ran = await packhook(*words, settings=ALLOWED, given=SECRET)
    (received,) = receiver.received
    assert (ran.code, ran.err, received.verified, received.path) == (Exit.DONE, "", True, "/x")
    assert json.loads(received.body)["data"] == EVENT_TYPES["order.shipped"].example
    assert received.headers["webhook-event"] == "order.shipped"
    assert received.headers["webhook-id"] == json.loads(received.body)["id"]
    for text in ("> webhook-signature: v1,", "< 202", "ok\\x1b[0m", "\nDelivered.\n", received.body.decode()):
        assert text in ran.out
    assert "signed with a new secret" not in ran.out


async def test_own_data_and_a_made_secret(tmp_path: Path) -> None:
    """Send the data of a file byte for byte, of any code; print the secret that was made; exit 1 by the response."""
    data = '{"id":"ord_1","total":1.50}'
    (tmp_path / "data").write_text(data)
    async with Receiver(Status(503)) as receiver:
        words = ("trigger", "parcel.lost", "--to", receiver.url, "--data", str(tmp_path / "data"))
        ran = await packhook(*words, "--output", "json", settings=ALLOWED)
    found = json.loads(ran.out)
    assert (ran.code, found["delivered"], found["attempt"]["status_code"]) == (Exit.FAILED, False, 503)
    assert receiver.received[0].body.endswith(f'"data":{data}}}'.encode())
    assert (found["request_body"].encode(), found["secret"][:6]) == (receiver.received[0].body, "whsec_")


async def test_the_example_of_the_catalogue(terminal: Terminal, tmp_path: Path) -> None:
    """Take the example of an own event type from the server; say where there is none."""
    (tmp_path / "example").write_text('{"id": "p_1"}')
    words = ("--subject-pointer", "/id")
    code = f"{terminal.organization}.lost"
    await terminal.json("event-types", "create", code, *words, "--example", str(tmp_path / "example"))
    await terminal.json("event-types", "create", f"{code}.not", *words)
    settings = {**ALLOWED, "server": terminal.node.url, "key": terminal.key}
    async with Receiver() as receiver:
        assert (await packhook("trigger", code, "--to", receiver.url, settings=settings)).code == Exit.DONE
        assert json.loads(receiver.received[0].body)["data"] == {"id": "p_1"}
        cases: tuple[tuple[tuple[str, ...], dict[str, str], Exit, str], ...] = (
            ((f"{code}.not",), settings, Exit.USAGE, "has no example in the catalogue: give --data"),
            (("unknown.code",), settings, Exit.MISSING, "unknown.code"),
            (("unknown.code",), ALLOWED, Exit.USAGE, "is not built in: give --data, or a key"),
            (("order.created", "--data", "-"), ALLOWED, Exit.USAGE, "--data: expected a JSON object in standard input"),
            (("order.created", "--data", "-", "--secret-file", "-"), ALLOWED, Exit.USAGE, "for one file only"),
            (("order.created", "--secret", "short"), ALLOWED, Exit.USAGE, "secret: expected 8 to 255"),
        )
        for given, more, exit_code, message in cases:
            ran = await packhook("trigger", *given, "--to", receiver.url, settings=more)
            assert (ran.code, ran.out, message in ran.err) == (exit_code, "", True), ran
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected https; plain http is only for an operator who sets allow_http"),
        ({"allow_http": "true"}, "the endpoint's address may not be connected to"),
    ],
    ids=["plain http", "loopback"],
)
async def test_the_egress_rules_are_those_of_deliveries(settings: dict[str, str], message: str) -> None:
    """Refuse loopback and plain http unless the settings allow them, and name the settings; nothing is connected to."""
    async with Receiver() as receiver:
        ran = await packhook("trigger", "order.created", "--to", receiver.url, settings=settings)
    assert (ran.code, receiver.connections_made) == (Exit.FAILED, 0)
    for text in (f"Not delivered: {message}", "PACKHOOK_EGRESS_ALLOW", "PACKHOOK_ALLOW_HTTP=true"):
        assert text in ran.out
