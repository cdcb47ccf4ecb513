"""Test that ``kill -9`` at any moment loses no accepted event, and that duplicates are identical and well signed."""

import asyncio
from pathlib import Path
from typing import Final

from chaos.orders import Inbox, OrderPublisher, batches, publishing_node
from packhook.testing import Behaviour, Hang, Status
from support.api_node import eventually
from support.processes import Node

ORDERS: Final = 1_000
LIVE: Final = ("pending", "sending")


async def _count(publisher: OrderPublisher, status: str) -> int:
    """Return the number of deliveries with this status, at most 100."""
    response = await publisher.organization.ask("GET", "/deliveries", params={"status": status, "per_page": 100})
    return len(response.json()["data"])


async def _wait_until_delivered(publisher: OrderPublisher) -> None:
    """Wait until no delivery is pending or sending, and check that all were delivered."""

    async def live() -> int:
        return sum([await _count(publisher, status) for status in LIVE])

    await eventually(live, lambda count: count == 0, timeout_seconds=30)
    assert (await _count(publisher, "exhausted"), await _count(publisher, "canceled")) == (0, 0)


async def test_killed_in_the_middle_of_a_thousand_deliveries(tmp_path: Path) -> None:
    """Deliver everything when 300 were answered, some hang and most wait; hanging ones again with the same id.

    Attempts that the kill interrupted are not counted: the receiver sees first attempts only.
    """

    def first_300_then_none(number: int) -> Behaviour:
        return Status(200) if number <= 300 else Hang()

    inbox = Inbox(first_300_then_none)
    async with publishing_node(tmp_path, inbox, attempt_timeout="30s") as (publisher, node):
        await publisher.publish_until_unanswered(batches(ORDERS))
        assert (len(publisher.owed), publisher.unanswered) == (ORDERS, [])
        await inbox.wait_until(lambda: len(inbox.received) > 300)
        await node.kill()
        hung = [request.headers["webhook-id"] for request in inbox.received[300:]]
        assert 0 < len(hung) < ORDERS - 300
        inbox.response = Status(200)
        await node.start()
        await inbox.wait_for(set(publisher.owed.values()))
        await _wait_until_delivered(publisher)
    assert set(inbox.counts) == set(publisher.owed.values())
    assert {inbox.counts[event_id] for event_id in hung} == {2}
    assert {request.headers["webhook-attempt"] for request in inbox.received} == {"1"}
    assert "lease_reclaimed" in node.printed
    inbox.assert_well_signed()


async def test_killed_while_publishes_are_accepted(tmp_path: Path) -> None:
    """Deliver what was answered 202, all or nothing of an unanswered batch, and nothing else."""
    inbox = Inbox(Status(200))
    async with publishing_node(tmp_path, inbox) as (publisher, node):
        publishing = asyncio.create_task(publisher.publish_until_unanswered(batches(20_000)))
        await inbox.wait_until(lambda: len(inbox.received) >= 300)
        await node.kill()
        await publishing
        assert publisher.unanswered, "the kill came after the last publish"
        await node.start()
        await inbox.wait_for(set(publisher.owed.values()))
        await _wait_until_delivered(publisher)
    arrived = inbox.orders
    assert {order: arrived[order] for order in publisher.owed} == {
        order: {event} for order, event in publisher.owed.items()
    }
    assert set(arrived) <= set(publisher.owed) | {order for batch in publisher.unanswered for order in batch}
    assert all(len(events) == 1 for events in arrived.values())
    assert [batch for batch in publisher.unanswered if 0 < len(arrived.keys() & set(batch)) < len(batch)] == []
    inbox.assert_well_signed()


async def test_killed_three_times(tmp_path: Path) -> None:
    """Publish each order once although publishers repeat it with the same idempotency key; deliver all."""
    inbox = Inbox(Status(200))
    async with publishing_node(tmp_path, inbox) as (publisher, node):
        publishing = asyncio.create_task(publisher.publish_all(batches(ORDERS), node))
        for arrived in (150, 400, 700):
            await _kill_and_restart(node, inbox, arrived)
        await publishing
        await publisher.publish_all(batches(ORDERS), node)  # everything once more: the keys survive a kill
        await inbox.wait_for(set(publisher.owed.values()))
        await _wait_until_delivered(publisher)
    assert len(node.runs) == 4
    assert inbox.orders == {f"ord_{number}": {publisher.owed[f"ord_{number}"]} for number in range(ORDERS)}
    inbox.assert_well_signed()


async def _kill_and_restart(node: Node, inbox: Inbox, arrived: int) -> None:
    await inbox.wait_until(lambda: len(inbox.counts) >= arrived)
    await node.kill()
    await node.start()
