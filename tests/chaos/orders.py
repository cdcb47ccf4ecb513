"""Publish orders to a node that is killed or stopped, and count what arrives."""

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
from packhook.testing import Behaviour, Received, Receiver, Status
from packhook.testing.wire import Wire
from support.processes import SENDING, Node, running

SECRET: Final = "whsec_b25lIHNlY3JldCBvZiB0aGUgdGVzdHMgb2YgY3Jhc2hlcw=="
WORKERS: Final = 8


class Gate:
    """Respond 200 once ``open`` is set, then close the connection."""

    early = False

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Wait until the gate is open, then respond."""
        await self.open.wait()
        await wire.write(Status(200, close=True).rendered)


class Inbox:
    """Record requests; respond with ``response``, or with what it returns for the number of the request."""

    def __init__(self, response: Behaviour | Callable[[int], Behaviour]) -> None:
        self.response = response
        self.received: list[Received] = []
        self.counts: Counter[str] = Counter()
        self._arrived = asyncio.Event()

    def __call__(self, received: Received) -> Behaviour:
        """Record a request, count it by its ``webhook-id``, and return the response."""
        self.received.append(received)
        self.counts[received.headers["webhook-id"]] += 1
        self._arrived.set()
        return self.response(len(self.received)) if callable(self.response) else self.response

    async def wait_until(self, condition: Callable[[], bool], limit_seconds: float = 60) -> None:
        """Wait until the condition holds; it is checked at each arrival."""
        try:
            async with asyncio.timeout(limit_seconds):
                while not condition():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.counts)} events arrived, in {len(self.received)} requests") from None

    async def wait_for(self, event_ids: set[str]) -> None:
        """Wait until all of these events have arrived."""
        await self.wait_until(lambda: self.counts.keys() >= event_ids)

    @property
    def orders(self) -> dict[str, set[str]]:
        """Return the ids of the events that arrived, by order."""
        found: dict[str, set[str]] = {}
        for request in self.received:
            found.setdefault(json.loads(request.body)["data"]["id"], set()).add(request.headers["webhook-id"])
        return found

    def assert_well_signed(self) -> None:
        """Check that every request has a valid signature, and that an event always has the same body."""
        assert [request for request in self.received if request.verified is not True] == []
        bodies: dict[str, set[bytes]] = {}
        for request in self.received:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
        assert {event_id for event_id, seen in bodies.items() if len(seen) > 1} == set()


class OrderPublisher:
    """Publish numbered orders. ``owed``: the event id of each order whose publish was answered 202."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.owed: dict[str, str] = {}
        self.unanswered: list[list[str]] = []

    async def publish(self, numbers: Sequence[int], idempotency_key: str = "") -> bool:
        """Publish one order, or several as a batch; return False if there was no response."""
        orders = [f"ord_{number}" for number in numbers]
        events = [{"event_code": "order.created", "data": {"id": order}} for order in orders]
        path, body = ("/events", events[0]) if len(events) == 1 else ("/events/batch", {"events": events})
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        try:
            response = await self.organization.ask("POST", path, json=body, headers=headers)
        except httpx.TransportError:
            self.unanswered.append(orders)
            return False
        assert response.status_code == 202, response.text
        receipts = response.json()["data"] if len(events) > 1 else [response.json()]
        for order, receipt in zip(orders, receipts, strict=True):
            assert self.owed.setdefault(order, receipt["id"]) == receipt["id"], "the same publish created another event"
        return True

    async def publish_until_unanswered(self, batches: Sequence[Sequence[int]]) -> None:
        """Publish these with several workers; each stops when it gets no response."""
        remaining = iter(batches)

        async def work() -> None:
            for batch in remaining:
                if not await self.publish(batch):
                    return

        await _run_workers(work)

    async def publish_all(self, batches: Sequence[Sequence[int]], node: Node) -> None:
        """Publish these with several workers; repeat each with its idempotency key until there is a response."""
        remaining = iter(enumerate(batches))

        async def work() -> None:
            for number, batch in remaining:
                while not await self.publish(batch, f"batch-{number}"):
                    await node.listening.wait()

        await _run_workers(work)


@asynccontextmanager
async def publishing_node(folder: Path, inbox: Inbox, **settings: str) -> AsyncIterator[tuple[OrderPublisher, Node]]:
    """Start a node with one webhook that leads to this inbox; yield a publisher for its organization, and the node.

    A lease outlives every test: the deliveries of a dead node arrive only if they are reclaimed.
    """
    async with (
        Receiver(inbox, secrets=[SECRET]) as receiver,
        running(folder, **SENDING | {"lease_duration": "1h"} | settings) as node,
        node.client() as operator,
    ):
        organization = await Organization.create(operator)
        await organization.webhook(receiver.url, secret=SECRET)
        yield OrderPublisher(organization), node


async def _run_workers(work: Callable[[], Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


def batches(orders: int, size: int = 50) -> list[list[int]]:
    """Return the numbers of so many orders: batches and single orders, in alternation."""
    numbers = iter(range(orders))
    found: list[list[int]] = []
    while batch := list(itertools.islice(numbers, size)):
        found += [batch, *([number] for number in itertools.islice(numbers, size))]
    return found
