"""Test ``packhook orders``: the timeline of an order in words."""

import pytest

from cli.terminal import Terminal
from packhook.cli.exits import Exit

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT = "https://myapp.packcloud.local/order-created"
ORDER = '{"id": "ord_1", "reference": "A-10432"}'


async def test_an_order_is_shown_by_its_id_or_a_reference(terminal: Terminal) -> None:
    """One line for each entry, with its time; the same with either."""
    hook = ("--event-code", "order.created", "--endpoint", ENDPOINT, "--paused")
    await terminal.json("webhooks", "create", *hook)
    receipt = await terminal.json("events", "publish", "--event-code", "order.created", given=ORDER)
    out = await terminal.output("orders", "show", "A-10432")
    first, second = out.splitlines()
    text = f"order.created of ord_1 (A-10432) was published as {receipt['id']} and goes to 1 webhook"
    assert first == f"{receipt['created_at']}  {text}"
    assert second.endswith(f"  waits for {ENDPOINT}: the webhook is paused: its deliveries wait until it is resumed")
    assert await terminal.output("orders", "show", "ord_1") == out
    entries = (await terminal.json("orders", "show", "A-10432"))["data"]
    assert [entry["kind"] for entry in entries] == ["published", "waiting"]


async def test_there_may_be_more_than_a_page(terminal: Terminal) -> None:
    """The newest events first; the message says how to read the others."""
    for _ in range(2):
        await terminal.json("events", "publish", "--event-code", "order.created", given=ORDER)
    code, out, err = await terminal.run("orders", "show", "ord_1", "--per-page", "1")
    assert (code, len(out.splitlines())) == (0, 1)
    cursor = err.split()[-1]
    assert "There is more" in err
    rest = await terminal.output("orders", "show", "ord_1", "--per-page", "1", "--cursor", cursor)
    assert len(rest.splitlines()) == 1
    assert rest != out


async def test_an_order_that_no_event_is_about(terminal: Terminal) -> None:
    """Exit with the code of what is missing, and say so."""
    code, out, err = await terminal.run("orders", "show", "A-9")
    assert (code, out) == (Exit.MISSING, "")
    assert "no event has 'A-9' as its order's id or reference" in err
