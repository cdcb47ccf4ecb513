"""Test the two levels of a stop: attempts in flight may finish within the grace, then they are aborted, uncounted."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Final

import apsw
import httpx
import pytest

from api.node import eventually
from crash.shop import Gate, Inbox, Shop, opened
from node import OPERATOR_KEY, Node, packhook, running
from packhook.testing import Hang, Status

PATIENT: Final = {"attempt_timeout": "30s", "shutdown_grace": "30s"}


async def _refuses(node: Node) -> None:
    """Wait until the node takes no more requests: it has begun to stop."""

    async def asked() -> bool:
        try:
            async with node.client() as client:
                await client.get("/health")
        except httpx.TransportError:
            return True
        return False

    await eventually(asked, bool)


async def _leased(node: Node, count: int) -> None:
    """Wait until the node has leased exactly so many deliveries; while it stops, only its database says so."""
    file = apsw.Connection(str(node.database), flags=apsw.SQLITE_OPEN_READONLY)

    async def sending() -> int:
        ((found,),) = file.execute("SELECT count(*) FROM deliveries WHERE status = 'sending'")
        return int(found)

    try:
        await eventually(sending, lambda found: found == count)
    finally:
        file.close()


async def _story(shop: Shop, order: str) -> tuple[str, int]:
    """Return the status and the number of attempts of an order's delivery."""
    (delivery,) = await shop.organization.deliveries(shop.owed[order])
    return delivery["status"], delivery["attempt_count"]


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_finishes_what_is_in_flight(tmp_path: Path, asked_by: signal.Signals) -> None:
    """Attempts on the wire end and count; what had not begun is given back, and sent after the next start. Exit 0."""
    gate = Gate()
    inbox = Inbox(gate)
    async with opened(tmp_path, inbox, **PATIENT, max_in_flight_per_webhook="4") as (shop, node):
        await shop.publish(range(20))
        await inbox.until(lambda: len(inbox.received) == 4)
        node.now.send(asked_by)
        await _leased(node, 4)
        gate.open.set()
        assert await node.now.ended() == 0
        assert len(inbox.received) == 4
        await node.start()
        await inbox.holds(set(shop.owed.values()))
        ended = [order for order, event_id in shop.owed.items() if event_id in list(inbox.times)[:4]]
        assert [await _story(shop, order) for order in ended] == [("delivered", 1)] * 4
    assert set(inbox.times.values()) == {1}
    assert "attempts_aborted" not in node.said
    inbox.assert_all_well_signed()


async def test_beyond_the_grace_an_attempt_is_cut_off_and_not_counted(tmp_path: Path) -> None:
    """It is given back and sent at once after the next start, as the first attempt that it still is. Exit 0 again."""
    inbox = Inbox(Hang())
    async with opened(tmp_path, inbox, **PATIENT | {"shutdown_grace": "200ms"}) as (shop, node):
        await shop.publish([1])
        await inbox.until(lambda: len(inbox.received) == 1)
        assert await node.stop() == 0
        assert "attempts_aborted" in node.said
        assert "Traceback" not in node.said
        inbox.answer = Status(200)
        await node.start()
        await inbox.until(lambda: len(inbox.received) == 2)
        delivered = await shop.organization.delivered(shop.owed["ord_1"])
    assert (delivered["status"], delivered["attempt_count"], len(delivered["attempts"])) == ("delivered", 1, 1)
    assert inbox.times == {shop.owed["ord_1"]: 2}
    assert [request.headers["webhook-attempt"] for request in inbox.received] == ["1", "1"]
    assert "lease_reclaimed" not in node.said, "it was released, not left behind"
    inbox.assert_all_well_signed()


async def test_asked_a_second_time_it_ends_at_once(tmp_path: Path) -> None:
    """Whoever cannot wait for the grace asks again; what was in flight is reclaimed by the next start."""
    inbox = Inbox(Hang())
    async with opened(tmp_path, inbox, **PATIENT) as (shop, node):
        await shop.publish([1])
        await inbox.until(lambda: len(inbox.received) == 1)
        node.now.send(signal.SIGTERM)
        await _refuses(node)

        async def asked_again() -> int | None:
            node.now.send(signal.SIGTERM)
            return node.now.code

        await eventually(asked_again, lambda code: code is not None)
        assert await node.now.ended() == -signal.SIGTERM
        inbox.answer = Status(200)
        await node.start()
        await inbox.until(lambda: len(inbox.received) == 2)
        assert await shop.organization.delivered(shop.owed["ord_1"]) is not None
    assert inbox.times == {shop.owed["ord_1"]: 2}


async def test_stopped_as_soon_as_it_listens(tmp_path: Path) -> None:
    """From the line that says so on, a stop is a good one: also for whoever waits for just that line."""
    async with running(tmp_path) as node:
        for _ in range(3):
            assert await node.stop() == 0
            await node.start()


async def test_a_second_node_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """With a sentence and exit code 1, without a trace, and without harm to the first."""
    inbox = Inbox(Status(200))
    async with opened(tmp_path, inbox) as (shop, node):
        ran = await packhook("serve", "--port", "0", "--database", f"sqlite:///{node.database}", folder=tmp_path)
        sentence = f"{node.database} is open in another packhook process; one SQLite file serves one process\n"
        assert ran == (1, "", sentence)
        await shop.publish([1])
        await inbox.holds(set(shop.owed.values()))


async def test_the_file_is_free_again_after_a_kill(tmp_path: Path) -> None:
    """The lock dies with the process that held it."""
    async with running(tmp_path) as node:
        await node.kill()
        ran = await packhook("migrate", "--database", f"sqlite:///{node.database}", folder=tmp_path)
        assert ran == (0, f"sqlite:///{node.database} is up to date\n", "")


async def test_a_stop_while_requests_are_in_line(tmp_path: Path) -> None:
    """Publishes that one connection asked for all at once are answered, and kept; then the connection is closed."""
    inbox = Inbox(Status(200))
    async with opened(tmp_path, inbox) as (shop, node):
        body = json.dumps({"event_code": "order.created", "data": {"id": "ord_1"}})
        request = (
            f"POST {shop.organization.path}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        )
        reader, writer = await asyncio.open_connection(*node.url.removeprefix("http://").split(":"))
        writer.write(request.encode() * 100)  # so few bytes that they arrive at once
        said = await reader.readuntil(b"\r\n\r\n")
        node.now.send(signal.SIGTERM)
        async with asyncio.timeout(20):
            said += await reader.read()
        writer.close()
        assert await node.now.ended() == 0
        receipts = re.findall(rb'"id":"(evt_\w+)"', said)
        assert len(receipts) == len(set(receipts)) == said.count(b"HTTP/1.1 202 ") == 100
        await node.start()
        for receipt in (receipts[0], receipts[-1]):
            await shop.organization.delivered(receipt.decode())
