"""Test the stop of a node: attempts may finish within the grace period, and are aborted uncounted after it."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Final

import apsw
import httpx
import pytest

from chaos.orders import Gate, Inbox, OrderPublisher, publishing_node
from packhook.testing import Hang, Status
from support.api_node import eventually
from support.processes import OPERATOR_KEY, Node, packhook, running

PATIENT: Final = {"attempt_timeout": "30s", "shutdown_grace": "30s"}


async def _wait_until_stopping(node: Node) -> None:
    """Wait until the node refuses requests because it is stopping."""

    async def refuses() -> bool:
        try:
            async with node.client() as client:
                await client.get("/health")
        except httpx.TransportError:
            return True
        return False

    await eventually(refuses, bool)


async def _wait_for_sending(node: Node, count: int) -> None:
    """Wait until exactly ``count`` deliveries are leased, by the database: a stopping node answers no request."""
    file = apsw.Connection(str(node.database), flags=apsw.SQLITE_OPEN_READONLY)

    async def sending() -> int:
        ((leased,),) = file.execute("SELECT count(*) FROM deliveries WHERE status = 'sending'")
        return int(leased)

    try:
        await eventually(sending, lambda leased: leased == count)
    finally:
        file.close()


async def _status(publisher: OrderPublisher, order: str) -> tuple[str, int]:
    """Return the status of an order's delivery and its number of attempts."""
    (delivery,) = await publisher.organization.deliveries(publisher.owed[order])
    return delivery["status"], delivery["attempt_count"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_finishes_attempts_in_flight(tmp_path: Path, signum: signal.Signals) -> None:
    """Finish and count attempts in flight, release the rest for the next start, and exit 0."""
    gate = Gate()
    inbox = Inbox(gate)
    async with publishing_node(tmp_path, inbox, **PATIENT, max_in_flight_per_webhook="4") as (publisher, node):
        await publisher.publish(range(20))
        await inbox.wait_until(lambda: len(inbox.received) == 4)
        node.latest.send(signum)
        await _wait_for_sending(node, 4)
        gate.open.set()
        assert await node.latest.wait() == 0
        assert len(inbox.received) == 4
        await node.start()
        await inbox.wait_for(set(publisher.owed.values()))
        ended = [order for order, event_id in publisher.owed.items() if event_id in list(inbox.counts)[:4]]
        assert [await _status(publisher, order) for order in ended] == [("delivered", 1)] * 4
    assert set(inbox.counts.values()) == {1}
    assert "attempts_aborted" not in node.printed
    inbox.assert_well_signed()


async def test_an_attempt_is_aborted_after_the_grace_period(tmp_path: Path) -> None:
    """Release it uncounted, send it at once after the next start as the first attempt, and exit 0."""
    inbox = Inbox(Hang())
    async with publishing_node(tmp_path, inbox, **PATIENT | {"shutdown_grace": "200ms"}) as (publisher, node):
        await publisher.publish([1])
        await inbox.wait_until(lambda: len(inbox.received) == 1)
        assert await node.stop() == 0
        assert "attempts_aborted" in node.printed
        assert "Traceback" not in node.printed
        inbox.response = Status(200)
        await node.start()
        await inbox.wait_until(lambda: len(inbox.received) == 2)
        delivered = await publisher.organization.delivered(publisher.owed["ord_1"])
    assert (delivered["status"], delivered["attempt_count"], len(delivered["attempts"])) == ("delivered", 1, 1)
    assert inbox.counts == {publisher.owed["ord_1"]: 2}
    assert [request.headers["webhook-attempt"] for request in inbox.received] == ["1", "1"]
    assert "lease_reclaimed" not in node.printed, "it was released before the exit"
    inbox.assert_well_signed()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Exit on the second signal; the next start reclaims what was in flight."""
    inbox = Inbox(Hang())
    async with publishing_node(tmp_path, inbox, **PATIENT) as (publisher, node):
        await publisher.publish([1])
        await inbox.wait_until(lambda: len(inbox.received) == 1)
        node.latest.send(signal.SIGTERM)
        await _wait_until_stopping(node)

        async def signal_again() -> int | None:
            node.latest.send(signal.SIGTERM)
            return node.latest.code

        await eventually(signal_again, lambda code: code is not None)
        assert await node.latest.wait() == -signal.SIGTERM
        inbox.response = Status(200)
        await node.start()
        await inbox.wait_until(lambda: len(inbox.received) == 2)
        assert await publisher.organization.delivered(publisher.owed["ord_1"]) is not None
    assert inbox.counts == {publisher.owed["ord_1"]: 2}


async def test_stopped_as_soon_as_it_listens(tmp_path: Path) -> None:
    """Exit 0 when stopped right after the line that says that it listens."""
    async with running(tmp_path) as node:
        for _ in range(3):
            assert await node.stop() == 0
            await node.start()


async def test_a_second_node_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Exit 1 with a message and no traceback, and leave the first node working."""
    inbox = Inbox(Status(200))
    async with publishing_node(tmp_path, inbox) as (publisher, node):
        ran = await packhook("serve", "--port", "0", "--database", f"sqlite:///{node.database}", folder=tmp_path)
        sentence = f"{node.database} is open in another packhook process; one SQLite file serves one process\n"
        assert ran == (1, "", sentence)
        await publisher.publish([1])
        await inbox.wait_for(set(publisher.owed.values()))


async def test_the_file_is_free_again_after_a_kill(tmp_path: Path) -> None:
    """Release the lock with the process that had it."""
    async with running(tmp_path) as node:
        await node.kill()
        ran = await packhook("migrate", "--database", f"sqlite:///{node.database}", folder=tmp_path)
        assert ran == (0, f"sqlite:///{node.database} is up to date\n", "")


async def test_a_stop_with_pipelined_requests(tmp_path: Path) -> None:
    """Answer and store pipelined publishes of one connection, then close it."""
    inbox = Inbox(Status(200))
    async with publishing_node(tmp_path, inbox) as (publisher, node):
        body = json.dumps({"event_code": "order.created", "data": {"id": "ord_1"}})
        request = (
            f"POST {publisher.organization.path}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        )
        reader, writer = await asyncio.open_connection(*node.url.removeprefix("http://").split(":"))
        writer.write(request.encode() * 100)  # so few bytes that they arrive at once
        output = await reader.readuntil(b"\r\n\r\n")
        node.latest.send(signal.SIGTERM)
        async with asyncio.timeout(20):
            output += await reader.read()
        writer.close()
        assert await node.latest.wait() == 0
        receipts = re.findall(rb'"id":"(evt_\w+)"', output)
        assert len(receipts) == len(set(receipts)) == output.count(b"HTTP/1.1 202 ") == 100
        await node.start()
        for receipt in (receipts[0], receipts[-1]):
            await publisher.organization.delivered(receipt.decode())
