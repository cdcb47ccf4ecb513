"""Check that ``kill -9`` loses nothing that was answered 202, and that duplicates are equal and validly signed."""

import asyncio
from pathlib import Path
from typing import Final

from api.node import eventually
from crash.shop import Inbox, Shop, opened, pieces
from node import Node
from packhook.testing import Behaviour, Hang, Status

ORDERS: Final = 1_000
LIVE: Final = ("pending", "sending")


async def _count(shop: Shop, status: str) -> int:
    """Count the deliveries with this status, up to 100."""
    answer = await shop.organization.ask("GET", "/deliveries", params={"status": status, "per_page": 100})
    return len(answer.json()["data"])


async def _settled(shop: Shop) -> None:
    """Wait until nothing is pending or in flight; then everything is delivered."""

    async def live() -> int:
        return sum([await _count(shop, status) for status in LIVE])

    await eventually(live, lambda left: left == 0, timeout_seconds=30)
    assert (await _count(shop, "exhausted"), await _count(shop, "canceled")) == (0, 0)


async def test_killed_in_the_middle_of_a_thousand_deliveries(tmp_path: Path) -> None:
    """300 are answered, others hang on the wire, most wait: all arrive, what hung again under the same id.

    The attempts that the kill aborted are not counted: the receiver sees none but first attempts.
    """

    def first_300_then_none(number: int) -> Behaviour:
        return Status(200) if number <= 300 else Hang()

    inbox = Inbox(first_300_then_none)
    async with opened(tmp_path, inbox, attempt_timeout="30s") as (shop, node):
        await shop.publish_until_unanswered(pieces(ORDERS))
        assert (len(shop.owed), shop.unanswered) == (ORDERS, [])
        await inbox.until(lambda: len(inbox.received) > 300)
        await node.kill()
        hung = [request.headers["webhook-id"] for request in inbox.received[300:]]
        assert 0 < len(hung) < ORDERS - 300
        inbox.answer = Status(200)
        await node.start()
        await inbox.holds(set(shop.owed.values()))
        await _settled(shop)
    assert set(inbox.times) == set(shop.owed.values())
    assert {inbox.times[event_id] for event_id in hung} == {2}
    assert {request.headers["webhook-attempt"] for request in inbox.received} == {"1"}
    assert "lease_reclaimed" in node.said
    inbox.assert_all_well_signed()


async def test_killed_while_publishes_are_accepted(tmp_path: Path) -> None:
    """What was answered 202 arrives; a batch without an answer is there whole or not at all; nothing is invented."""
    inbox = Inbox(Status(200))
    async with opened(tmp_path, inbox) as (shop, node):
        publishing = asyncio.create_task(shop.publish_until_unanswered(pieces(20_000)))
        await inbox.until(lambda: len(inbox.received) >= 300)
        await node.kill()
        await publishing
        assert shop.unanswered, "the kill came after the last publish"
        await node.start()
        await inbox.holds(set(shop.owed.values()))
        await _settled(shop)
    arrived = inbox.orders
    assert {order: arrived[order] for order in shop.owed} == {order: {event} for order, event in shop.owed.items()}
    assert set(arrived) <= set(shop.owed) | {order for piece in shop.unanswered for order in piece}
    assert all(len(events) == 1 for events in arrived.values())
    assert [piece for piece in shop.unanswered if 0 < len(arrived.keys() & set(piece)) < len(piece)] == []
    inbox.assert_all_well_signed()


async def test_killed_three_times(tmp_path: Path) -> None:
    """Publishers that ask again with the same Idempotency-Key get each order published once; every one arrives."""
    inbox = Inbox(Status(200))
    async with opened(tmp_path, inbox) as (shop, node):
        publishing = asyncio.create_task(shop.publish_all(pieces(ORDERS), node))
        for arrived in (150, 400, 700):
            await _kill_and_restart(node, inbox, arrived)
        await publishing
        await shop.publish_all(pieces(ORDERS), node)  # all of it once more: the keys outlive a kill
        await inbox.holds(set(shop.owed.values()))
        await _settled(shop)
    assert len(node.runs) == 4
    assert inbox.orders == {f"ord_{number}": {shop.owed[f"ord_{number}"]} for number in range(ORDERS)}
    inbox.assert_all_well_signed()


async def _kill_and_restart(node: Node, inbox: Inbox, arrived: int) -> None:
    await inbox.until(lambda: len(inbox.times) >= arrived)
    await node.kill()
    await node.start()
