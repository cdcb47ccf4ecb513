"""What one organization does to harm another, in a process of its own: ``python -m benchmarks.isolation.attacks``.

It prepares the attack, prints ``ready``, waits for a line on standard input, and attacks until it is ended.
"""

import asyncio
import json
import sys
from asyncio import IncompleteReadError
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from benchmarks.isolation.client import Client, clients, subscribe
from packhook.testing import Behaviour, Drip, Hang, Received, Receiver, Status
from packhook.testing.wire import Wire

ORGANIZATION: Final = "attacker"
WEBHOOKS: Final = 1_000
EVENTS: Final = f"/organizations/{ORGANIZATION}/events"
WEBHOOKS_OF: Final = f"/organizations/{ORGANIZATION}/webhooks"
PREVIEW: Final = b'{"select": "all", "since": "2020-01-01T00:00:00Z", "preview": true}'


class Order(Struct, frozen=True):
    """Say which attack to make on which node."""

    attack: str
    host: str
    port: int


@dataclass(frozen=True)
class Late:
    """Send a failure with a body of 64 KiB after a second."""

    early: bool = False

    async def write(self, wire: Wire) -> None:
        """Wait, then answer."""
        await wire.pause(1_000)
        await wire.write(Status(500, body=b"x" * 65_536).rendered)


class Attack(Struct, frozen=True, kw_only=True):
    """Describe an attack: what the webhooks' receiver does, how many there are, and what each connection asks for.

    ``interval``: seconds between two requests of a connection. ``prepare`` runs before the measurement.
    ``fields``: other settings of the webhook with this number.
    """

    title: str
    request: Callable[[Client, str], Awaitable[object]]
    answer: Behaviour | Callable[[Received], Behaviour] = Status(200)
    webhooks: int = 1
    connections: int = 1
    interval: float = 0.0
    prepare: Callable[[Client], Awaitable[object]] | None = None
    fields: Callable[[int], dict[str, object]] = lambda _: {}


def _events(count: int, size: int = 100) -> bytes:
    data = {"id": "ord_1", "reference": "x" * size}
    event = {"event_code": "order.created", "data": data}
    return msgspec.json.encode(event if count == 1 else {"events": [event] * count})


def _publish(count: int, size: int = 100) -> Callable[[Client, str], Awaitable[object]]:
    body = _events(count, size)
    path = EVENTS if count == 1 else f"{EVENTS}/batch"
    return lambda client, _: client.ask("POST", path, body)


def _fifth(number: int) -> dict[str, object]:
    return {"filter": f"data.brand_id == 'brd_{number % 5}'"}


def _brands(count: int) -> bytes:
    orders = [{"id": f"ord_{number}", "brand_id": f"brd_{number % 5}"} for number in range(count)]
    return msgspec.json.encode({"events": [{"event_code": "order.created", "data": order} for order in orders]})


async def _store_large(client: Client) -> None:
    for _ in range(10):
        await client.ask("POST", f"{EVENTS}/batch", _events(10, 250_000))


async def _store_many(client: Client) -> None:
    for _ in range(20):
        await client.ask("POST", f"{EVENTS}/batch", _events(1_000))


ATTACKS: Final = {
    "batches": Attack(title="12 connections of batches of 1,000 events", request=_publish(1_000), connections=12),
    "large-batches": Attack(
        title="4 connections of batches of 16 MB, 60 events of 250 KB each",
        request=_publish(60, 250_000), connections=4,
    ),
    "fan-out": Attack(
        title="2 connections of batches with 20,000 deliveries", request=_publish(40), webhooks=500, connections=2
    ),
    "too-many": Attack(
        title="4 connections of batches of 400 events for 1,000 webhooks",
        request=_publish(400), webhooks=WEBHOOKS, connections=4,
    ),
    "hanging": Attack(
        title="an event each second for 1,000 webhooks that never answer",
        request=_publish(1), answer=Hang(), webhooks=WEBHOOKS, interval=1.0,
    ),
    "trickling": Attack(
        title="an event each second for 1,000 webhooks that send a byte now and then",
        request=_publish(1), answer=Drip(), webhooks=WEBHOOKS, interval=1.0,
    ),
    "large-responses": Attack(
        title="an event each second for 1,000 webhooks that fail late, with 64 KiB",
        request=_publish(1), answer=Late(), webhooks=WEBHOOKS, interval=1.0,
    ),
    "tests": Attack(
        title="200 connections of test events to webhooks that never answer",
        request=lambda client, webhook: client.ask("POST", f"/organizations/{ORGANIZATION}/webhooks/{webhook}/test"),
        answer=Hang(), webhooks=200, connections=200,
    ),
    "reads": Attack(
        title="120 connections of pages of 100 events of 250 KB",
        request=lambda client, _: client.ask("GET", f"{EVENTS}?per_page=100"),
        webhooks=0, connections=120, prepare=_store_large,
    ),
    "matches": Attack(
        title="60 connections that ask whether a webhook would get an event of 60 KB",
        request=lambda client, webhook: client.ask("POST", f"{WEBHOOKS_OF}/{webhook}/match", _events(1, 60_000)),
        connections=60,
    ),
    "portal": Attack(
        title="60 connections that make portal links",
        request=lambda client, _: client.ask("POST", f"/organizations/{ORGANIZATION}/portal-sessions", b"{}"),
        webhooks=0, connections=60,
    ),
    "previews": Attack(
        title="60 connections of previews of replays of 20,000 events",
        request=lambda client, webhook: client.ask("POST", f"{WEBHOOKS_OF}/{webhook}/replays", PREVIEW),
        connections=60, prepare=_store_many,
    ),
    "feed": Attack(
        title="900 readers that wait for the feed",
        request=lambda client, _: client.ask("GET", f"/organizations/{ORGANIZATION}/feed?wait=20"),
        webhooks=0, connections=900,
    ),
    "wrong-keys": Attack(
        title="4 connections with wrong keys",
        request=lambda client, _: client.ask("GET", EVENTS, key="pak_wrong"), connections=4,
    ),
    "masking": Attack(
        title="events for a webhook with 19 headers `*` whose receiver sends `*`",
        request=_publish(1), answer=Status(500, {"x": "*" * 200}, b"*" * 60_000), connections=4,
        fields=lambda _: {"headers": {f"x-{number}": "*" for number in range(19)}},
    ),
    "wide": Attack(
        title="an event every 4 seconds for 5,000 webhooks", request=_publish(1), webhooks=5_000, interval=4.0
    ),
    "wide-filtered": Attack(
        title="an event every second for 5,000 webhooks with a filter, 1,000 match",
        request=lambda client, _: client.ask("POST", EVENTS + "/batch", _brands(1)),
        webhooks=5_000, interval=1.0, fields=_fifth,
    ),
    "fifty": Attack(
        title="a batch of 1,000 events every 6 seconds for 50 webhooks, a fifth matches",
        request=lambda client, _: client.ask("POST", EVENTS + "/batch", _brands(1_000)),
        webhooks=50, interval=6.0, fields=_fifth,
    ),
}  # fmt: skip


async def _attack(order: Order) -> None:
    attack = ATTACKS[order.attack]
    async with Receiver(attack.answer) as receiver:
        own = await subscribe(order.host, order.port, ORGANIZATION, receiver.url, attack.webhooks, attack.fields)
        async with clients(order.host, order.port, attack.connections, own.key) as made:
            if attack.prepare is not None:
                await attack.prepare(made[0])
            print("ready", flush=True)  # noqa: T201 read by the benchmark
            await asyncio.to_thread(sys.stdin.readline)
            await asyncio.gather(*(_ask(attack, client, own.webhooks, at) for at, client in enumerate(made)))


async def _ask(attack: Attack, client: Client, webhooks: list[str], first: int) -> None:
    number = first
    while True:
        webhook = webhooks[number % len(webhooks)] if webhooks else ""
        number += attack.connections
        try:
            await attack.request(client, webhook)
        except (OSError, IncompleteReadError):
            await asyncio.sleep(0.1)
        await asyncio.sleep(attack.interval)


if __name__ == "__main__":
    uvloop.run(_attack(msgspec.convert(json.loads(sys.argv[1]), Order)))
