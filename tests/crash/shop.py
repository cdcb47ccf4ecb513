"""Publish orders and count what arrives, for the tests of crashes."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from api.organization import Organization
from node import SENDING, Node, running
from packhook.testing import Behaviour, Received, Receiver, Status
from packhook.testing.wire import Wire

SECRET: Final = "whsec_b25lIHNlY3JldCBvZiB0aGUgdGVzdHMgb2YgY3Jhc2hlcw=="
WORKERS: Final = 8


class Gate:
    """Send a valid answer once the gate is open, then close the connection."""

    early = False

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Wait, then answer."""
        await self.open.wait()
        await wire.write(Status(200, close=True).rendered)


class Inbox:
    """Answer requests with ``answer``, or with what ``answer`` returns for the number of the request."""

    def __init__(self, answer: Behaviour | Callable[[int], Behaviour]) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.times: Counter[str] = Counter()
        self._news = asyncio.Event()

    def __call__(self, received: Received) -> Behaviour:
        """Count the request by its ``webhook-id``; return how to answer it."""
        self.received.append(received)
        self.times[received.headers["webhook-id"]] += 1
        self._news.set()
        return self.answer(len(self.received)) if callable(self.answer) else self.answer

    async def until(self, condition: Callable[[], bool], limit_seconds: float = 60) -> None:
        """Wait until a condition holds; it is checked at each arrival."""
        try:
            async with asyncio.timeout(limit_seconds):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.times)} events arrived, in {len(self.received)} requests") from None

    async def holds(self, event_ids: set[str]) -> None:
        """Wait until each of these events has arrived."""
        await self.until(lambda: self.times.keys() >= event_ids)

    @property
    def orders(self) -> dict[str, set[str]]:
        """Return the events that arrived for each order."""
        found: dict[str, set[str]] = {}
        for request in self.received:
            found.setdefault(json.loads(request.body)["data"]["id"], set()).add(request.headers["webhook-id"])
        return found

    def assert_all_well_signed(self) -> None:
        """Assert that every request has a valid signature, and that an event always has the same body."""
        assert [request for request in self.received if request.verified is not True] == []
        bodies: dict[str, set[bytes]] = {}
        for request in self.received:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
        assert {event_id for event_id, seen in bodies.items() if len(seen) > 1} == set()


class Shop:
    """Publish orders by number. ``owed`` has the event of each order whose publish was answered 202."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.owed: dict[str, str] = {}
        self.unanswered: list[list[str]] = []

    async def publish(self, numbers: Sequence[int], idempotency_key: str = "") -> bool:
        """Publish one order, or several as a batch; return False without an answer."""
        orders = [f"ord_{number}" for number in numbers]
        events = [{"event_code": "order.created", "data": {"id": order}} for order in orders]
        path, body = ("/events", events[0]) if len(events) == 1 else ("/events/batch", {"events": events})
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        try:
            answer = await self.organization.ask("POST", path, json=body, headers=headers)
        except httpx.TransportError:
            self.unanswered.append(orders)
            return False
        assert answer.status_code == 202, answer.text
        receipts = answer.json()["data"] if len(events) > 1 else [answer.json()]
        for order, receipt in zip(orders, receipts, strict=True):
            assert self.owed.setdefault(order, receipt["id"]) == receipt["id"], "the same publish made another event"
        return True

    async def publish_until_unanswered(self, pieces: Sequence[Sequence[int]]) -> None:
        """Publish these, several at a time; each publisher ends when it gets no answer."""
        left = iter(pieces)

        async def publisher() -> None:
            for piece in left:
                if not await self.publish(piece):
                    return

        await _side_by_side(publisher)

    async def publish_all(self, pieces: Sequence[Sequence[int]], node: Node) -> None:
        """Publish these, several at a time, as the documentation asks: again, with the same key, until answered."""
        left = iter(enumerate(pieces))

        async def publisher() -> None:
            for number, piece in left:
                while not await self.publish(piece, f"piece-{number}"):
                    await node.listening.wait()

        await _side_by_side(publisher)


@asynccontextmanager
async def opened(folder: Path, inbox: Inbox, **settings: str) -> AsyncIterator[tuple[Shop, Node]]:
    """Run a node, and a shop with an organization of its own, whose one webhook sends to this inbox.

    A lease outlives every test: deliveries of a dead node arrive only if their leases are reclaimed.
    """
    async with (
        Receiver(inbox, secrets=[SECRET]) as receiver,
        running(folder, **SENDING | {"lease_duration": "1h"} | settings) as node,
        node.client() as operator,
    ):
        organization = await Organization.made(operator)
        await organization.webhook(receiver.url, secret=SECRET)
        yield Shop(organization), node


async def _side_by_side(publisher: Callable[[], Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(publisher())


def pieces(orders: int, batch: int = 50) -> list[list[int]]:
    """Return the numbers of so many orders: half of them in batches, half alone, alternating."""
    numbers = iter(range(orders))
    found: list[list[int]] = []
    while piece := list(itertools.islice(numbers, batch)):
        found += [piece, *([number] for number in itertools.islice(numbers, batch))]
    return found
