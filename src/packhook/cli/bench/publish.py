"""The benchmark's publishers, a process of their own: raw HTTP/1.1 over kept connections.

At a rate it is open-loop: each request has its moment, and counts from then however late it is sent. Otherwise each
connection publishes as soon as it was answered, while no more than the plan's window is on its way.

Its one argument is an :class:`Order` as JSON; each line of standard input tells how many deliveries have arrived.
"""

import asyncio
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import httptools
import msgspec
import uvloop
from msgspec import Struct

from packhook.cli.bench.plan import EVENT_CODE, OPERATOR_KEY, Plan, organization_id

TICK_SECONDS: Final = 0.002


class Order(Struct, frozen=True):
    """What to publish, to which nodes (host and port), and the file to write :class:`Published` to."""

    plan: Plan
    nodes: list[tuple[str, int]]
    file: str


class Published(Struct):
    """Event ids to the moment they were due to be published (monotonic seconds), and what was refused."""

    at: dict[str, float] = {}
    answered_in: list[float] = []
    refused: dict[str, int] = {}


class _Receipt(Struct):
    id: str


class _Receipts(Struct):
    data: list[_Receipt]


class _Publishers:
    """All connections, and whose turn it is."""

    def __init__(self, order: Order) -> None:
        plan = order.plan
        self.plan = plan
        self.published = Published()
        self._left = plan.events
        self._arrived = 0
        self._on_their_way = 0
        self._idle: deque[_Connection] = deque()
        self._due: deque[float] = deque()
        self._number = 0
        self.done = asyncio.Event()
        self._requests = [_request(plan, number) for number in range(plan.organizations)]

    def free(self, connection: "_Connection") -> None:
        """This connection has its answer."""
        self._idle.append(connection)
        self.go_on()

    def arrived(self, count: int) -> None:
        """So many deliveries have arrived."""
        self._arrived = count
        self.go_on()

    def due(self, count: int) -> None:
        """At a rate: so many more requests are due now."""
        self._due.extend([time.monotonic()] * count)
        self.go_on()

    def go_on(self) -> None:
        """Send what may be sent."""
        while self._idle and self._left > 0 and self._may_go():
            at = self._due.popleft() if self.plan.rate else time.monotonic()
            self._left -= self.plan.batch
            self._on_their_way += self.plan.batch * self.plan.fan_out
            self._number += 1
            self._idle.popleft().send(self._requests[self._number % len(self._requests)], at)
        if self._left <= 0 and len(self._idle) == self.plan.connections:
            self.done.set()

    def _may_go(self) -> bool:
        if self.plan.rate:
            return bool(self._due)
        return self._on_their_way - self._arrived < self.plan.window * self.plan.fan_out


def _request(plan: Plan, number: int) -> bytes:
    event = b'{"event_code":"%b","data":%b}' % (EVENT_CODE.encode(), plan.data())
    body = event if plan.batch == 1 else b'{"events":[%b]}' % b",".join([event] * plan.batch)
    path = f"/v1/organizations/{organization_id(number)}/events" + ("" if plan.batch == 1 else "/batch")
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {OPERATOR_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, publishers: _Publishers) -> None:
        self._publishers = publishers
        self._at = self._sent_at = 0.0
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser: Any = httptools.HttpResponseParser(self)
        self._publishers.free(self)

    def send(self, request: bytes, at: float) -> None:
        """Publish; it was due at this moment."""
        self._at, self._sent_at = at, time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser: the answer is whole."""
        published, status = self._publishers.published, self._parser.get_status_code()
        if status == 202:
            published.answered_in.append(time.monotonic() - self._sent_at)
            for event_id in self._ids():
                published.at[event_id] = self._at
        else:
            published.refused[str(status)] = published.refused.get(str(status), 0) + 1
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._publishers.free(self)

    def _ids(self) -> list[str]:
        if self._publishers.plan.batch == 1:
            return [msgspec.json.decode(self._body, type=_Receipt).id]
        return [receipt.id for receipt in msgspec.json.decode(self._body, type=_Receipts).data]


async def _publish(order: Order) -> None:
    publishers = _Publishers(order)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    for number in range(order.plan.connections):
        host, port = order.nodes[number % len(order.nodes)]
        await loop.create_connection(lambda: _Connection(publishers), host, port)
    helpers = [asyncio.create_task(_hear(publishers, reader)), asyncio.create_task(_tick(publishers))]
    await publishers.done.wait()
    for helper in helpers:
        helper.cancel()
    Path(order.file).write_bytes(msgspec.msgpack.encode(publishers.published))  # noqa: ASYNC240 the run is over


async def _hear(publishers: _Publishers, reader: asyncio.StreamReader) -> None:
    while line := await reader.readline():
        publishers.arrived(int(line))


async def _tick(publishers: _Publishers) -> None:
    """At a rate: hand out what has become due since the last tick."""
    rate = publishers.plan.rate / publishers.plan.batch
    began, given = time.monotonic(), 0
    while rate:
        due = int((time.monotonic() - began) * rate)
        publishers.due(due - given)
        given = due
        await asyncio.sleep(TICK_SECONDS)


if __name__ == "__main__":
    uvloop.run(_publish(msgspec.json.decode(sys.argv[1], type=Order)))
