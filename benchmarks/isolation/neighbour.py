"""Publish one small event after another at a fixed rate, as an organization without bad intent, and time each."""

import asyncio
from asyncio import IncompleteReadError
from statistics import quantiles
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.isolation.client import Client, clients, subscribe
from benchmarks.processes import Node
from packhook.testing import Receiver

ORGANIZATION: Final = "neighbour"
RATE: Final = 40.0
CONNECTIONS: Final = 32
PATIENCE_SECONDS: Final = 30.0
ACCEPTED: Final = 202


class Latencies(Struct, frozen=True):
    """Hold milliseconds from the moment that a publish was due to its response, and what was not accepted."""

    accepted: list[float]
    refused: int

    def quantile(self, percent: int) -> float:
        """Return a percentile; 0 if nothing was accepted."""
        values = self.accepted
        return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else sum(values)


async def prepare(node: Node, receiver: Receiver) -> str:
    """Create the organization with one webhook; return its API key."""
    return (await subscribe(node.host, node.port, ORGANIZATION, receiver.url, 1)).key


async def publish_for(node: Node, key: str, seconds: float) -> Latencies:
    """Publish at :data:`RATE`, whether or not the one before has its response."""
    loop = asyncio.get_running_loop()
    accepted: list[float] = []
    refused = 0
    body = msgspec.json.encode({"event_code": "order.created", "data": {"id": "ord_1", "reference": "x" * 500}})

    async def publish(client: Client, due: float) -> None:
        nonlocal refused
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                response = await client.ask("POST", f"/organizations/{ORGANIZATION}/events", body)
        except (OSError, TimeoutError, IncompleteReadError):
            refused += 1
            return
        if response.status == ACCEPTED:
            accepted.append((loop.time() - due) * 1000)
        else:
            refused += 1

    async with clients(node.host, node.port, CONNECTIONS, key) as made, asyncio.TaskGroup() as tasks:
        started = loop.time()
        for number in range(int(seconds * RATE)):
            due = started + number / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
            free = next((client for client in made if not client.is_busy), None)
            if free is None:
                refused += 1
                continue
            free.is_busy = True
            tasks.create_task(publish(free, due))
    return Latencies(accepted, refused)
