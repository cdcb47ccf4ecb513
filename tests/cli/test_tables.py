"""Test tables: every cell can be copied, and a page says how to go on."""

import asyncio
import json

import pytest

from cli.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event_code": "order.created", "data": {"id": "ord_1"}}


async def test_a_table_has_a_line_for_each_thing_however_narrow(terminal: Terminal) -> None:
    """Break no cell without a terminal: ids can be copied, and lines searched."""
    endpoint = "https://myapp.packcloud.local/a-rather-long-path-to/order-created"
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", endpoint)
    event = await terminal.json("events", "publish", given=json.dumps(EVENT))
    (delivery,) = (await terminal.get(f"/events/{event['id']}"))["deliveries"]
    key = await terminal.json("keys", "create", "shop")
    expected = {
        "webhooks list": (made["id"], "order.created", endpoint, "yes", made["created_at"]),
        "events list --event-code order.created": (event["id"], "order.created", event["created_at"]),
        "deliveries list": (delivery["id"], "order.created", made["id"], delivery["created_at"]),
        "keys list": (key["id"], "shop", ", ".join(key["scopes"]), key["prefix"], "-"),
    }
    tables = await asyncio.gather(*(terminal.output(*what.split()) for what in expected))
    for cells, table in zip(expected.values(), tables, strict=True):
        heading, line = table.splitlines()
        assert heading.split()[0] == "id"
        assert (heading, line) == (heading.rstrip(), line.rstrip())
        assert [cell for cell in cells if cell not in line] == []


async def test_an_object_is_printed_member_by_member(terminal: Terminal) -> None:
    """Print one member per line."""
    words = ("--event-code", "order.created", "--endpoint", "https://myapp.packcloud.local/x", "--secret", "q9NhjkjV9o")
    shown = await terminal.output("webhooks", "create", *words, "--disabled", "--header", "x-one: a")
    assert [line for line in shown.splitlines() if line != line.rstrip()] == [], "what is copied has nothing behind it"
    members = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert {name: value.strip() for name, value in members.items() if name in ("secret", "enabled", "headers")} == {
        "secret": "q9NhjkjV9o",
        "enabled": "no",
        "headers": '{"x-one": "***"}',
    }


async def test_a_long_list_prints_the_next_cursor(terminal: Terminal) -> None:
    """Print 25 per page, and the cursor of the next page on standard error."""
    await terminal.json("events", "publish", given=json.dumps([EVENT] * 30))
    code, out, err = await terminal.run("events", "list")
    assert (code, len(out.splitlines())) == (0, 26)
    said, cursor = err.strip().rsplit(" ", 1)
    assert said == "There is more: --cursor"
    assert len((await terminal.output("events", "list", "--cursor", cursor)).splitlines()) == 6
