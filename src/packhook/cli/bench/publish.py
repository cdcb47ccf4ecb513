"""The benchmark's publishers, a process of their own: requests made beforehand, over kept connections.

At a rate it is open-loop: each request has its moment, and counts from then however late it is sent. Otherwise each
connection publishes as soon as it was answered, while no more than the plan's window is on its way.

Its one argument is an :class:`Order` as JSON. Once there was an answer on every connection, it says that they are
connected and waits for a line of standard input: what a new connection costs is not measured, nor is it of the bare
senders. How many deliveries have arrived it reads from the sink's counter.
"""

import array
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from packhook.cli.bench.counter import Counter
from packhook.cli.bench.plan import EVENT_CODE, OPERATOR_KEY, Plan, organization_id
from packhook.cli.bench.wire import Line, Message

LOOK_SECONDS: Final = 0.0005  # how often the counter is read while the window is full
PATIENCE_SECONDS: Final = 60.0
_ACCEPTED: Final = b"HTTP/1.1 202"
_GREETING: Final = b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n"


class Order(Struct, frozen=True):
    """What to publish, to which nodes (host and port), the sink's counter, the file to write :class:`Published` to."""

    plan: Plan
    nodes: list[tuple[str, int]]
    counter: str
    file: str


class Published(Struct):
    """Event ids, the moments they were due and those they were accepted at (monotonic seconds), and what was refused.

    ``cpu``: seconds of this process since the first was due.
    """

    ids: list[str] = []
    due: list[float] = []
    accepted: list[float] = []
    answered_in: list[float] = []
    refused: dict[str, int] = {}
    cpu: float = 0.0


class _Receipt(Struct):
    id: str


class _Receipts(Struct):
    data: list[_Receipt]


_ONE: Final = msgspec.json.Decoder(_Receipt)
_MANY: Final = msgspec.json.Decoder(_Receipts)


class _Publisher:
    """One connection, and what it waits for."""

    __slots__ = ("due", "is_asking", "line", "place", "sent")

    def __init__(self, line: Line, place: tuple[str, int]) -> None:
        self.line = line
        self.place = place
        self.is_asking = False
        self.due = self.sent = 0.0


class _Publishers:
    """All connections, and whose turn it is."""

    def __init__(self, order: Order) -> None:
        self._plan = plan = order.plan
        self._counter = Counter(Path(order.counter))
        self._poll = select.epoll()
        self._publishers: dict[int, _Publisher] = {}
        self._idle: list[_Publisher] = []
        self._asking = 0
        self._left = plan.events // plan.batch
        self._number = 0
        self._last = 0.0
        self._is_open_loop = bool(plan.rate) and not plan.alone
        self._sent_deliveries = 0
        self._body = _body(plan)
        self._heads = [_head(plan, number, len(self._body)) for number in range(plan.organizations)]
        self._ids: list[str] = []
        self._due, self._accepted, self._answered_in = array.array("d"), array.array("d"), array.array("d")
        self._refused: dict[str, int] = {}
        for number in range(plan.connections):
            self._connect(order.nodes[number % len(order.nodes)])

    def greet(self) -> None:
        """Ask on every connection, until each has an answer: now both sides have it."""
        for publisher in self._publishers.values():
            publisher.line.send(_GREETING)
        asking = set(self._publishers)
        while asking:
            ready = self._poll.poll(PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer for {PATIENCE_SECONDS:.0f} seconds")
            asking.difference_update(number for number, _ in ready if self._publishers[number].line.take())

    def run(self) -> Published:
        """Publish it all; every request is answered, or its connection lost, when this returns."""
        self._began, cpu = time.monotonic(), time.process_time()
        while self._left or self._asking:
            self._send()
            for number, _ in self._ready():
                self._hear(self._publishers[number])
        return Published(
            ids=self._ids, due=list(self._due), accepted=list(self._accepted), answered_in=list(self._answered_in),
            refused=self._refused, cpu=time.process_time() - cpu,
        )  # fmt: skip

    def _connect(self, place: tuple[str, int]) -> None:
        connection = socket.create_connection(place)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        publisher = _Publisher(Line(connection, self._poll), place)
        self._publishers[publisher.line.number] = publisher
        self._idle.append(publisher)

    def _send(self) -> None:
        """Whatever may be sent now."""
        plan, heads, body = self._plan, self._heads, self._body
        while self._idle and self._left and (due := self._next_due()) <= (now := time.monotonic()):
            publisher = self._idle.pop()
            self._left -= 1
            self._asking += 1
            self._sent_deliveries += plan.batch * plan.fan_out
            request = heads[self._number % len(heads)] + body
            self._number += 1
            self._last = now
            publisher.is_asking, publisher.due, publisher.sent = True, due if self._is_open_loop else now, now
            try:
                publisher.line.send(request)
            except ConnectionError:
                self._lose(publisher)

    def _next_due(self) -> float:
        """When the next request may go; without a rate at once, or not while the window is full."""
        plan = self._plan
        if self._is_open_loop:
            return self._began + self._number * plan.batch / plan.rate
        on_their_way = self._sent_deliveries - self._counter.value
        if on_their_way >= (1 if plan.alone else plan.window * plan.fan_out):
            return float("inf")
        return self._last + 1 / plan.rate if plan.alone else 0.0

    def _ready(self) -> list[tuple[int, int]]:
        """Who has something to hear; waits at most until the next is due, to the microsecond, which epoll cannot."""
        if not (self._idle and self._left):
            ready = self._poll.poll(PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer for {PATIENCE_SECONDS:.0f} seconds")
            return ready
        due = self._next_due() - time.monotonic()
        select.select([self._poll], [], [], LOOK_SECONDS if due > PATIENCE_SECONDS else max(0.0, due))
        return self._poll.poll(0)

    def _hear(self, publisher: _Publisher) -> None:
        try:
            messages = publisher.line.take()
        except ConnectionError:
            self._lose(publisher)
            return
        for message in messages:
            self._note(publisher, message)
            publisher.is_asking = False
            self._asking -= 1
            self._idle.append(publisher)

    def _note(self, publisher: _Publisher, message: Message) -> None:
        head, body = message
        if not head.startswith(_ACCEPTED):
            self._refuse(head[9:12].decode())
            return
        now = time.monotonic()
        self._answered_in.append(now - publisher.sent)
        ids = [_ONE.decode(body).id] if self._plan.batch == 1 else [each.id for each in _MANY.decode(body).data]
        for each in ids:
            self._ids.append(each)
            self._due.append(publisher.due)
            self._accepted.append(now)

    def _refuse(self, why: str) -> None:
        self._refused[why] = self._refused.get(why, 0) + 1
        self._sent_deliveries -= self._plan.batch * self._plan.fan_out

    def _lose(self, publisher: _Publisher) -> None:
        """Its connection is gone, and with it perhaps an answer; another one takes its place."""
        del self._publishers[publisher.line.number]
        publisher.line.close()
        if publisher.is_asking:
            self._asking -= 1
            self._refuse("connection lost")
        else:
            self._idle.remove(publisher)
        self._connect(publisher.place)


def _body(plan: Plan) -> bytes:
    event = b'{"event_code":"%b","data":%b}' % (EVENT_CODE.encode(), plan.data())
    return event if plan.batch == 1 else b'{"events":[%b]}' % b",".join([event] * plan.batch)


def _head(plan: Plan, number: int, length: int) -> bytes:
    path = f"/v1/organizations/{organization_id(number)}/events" + ("" if plan.batch == 1 else "/batch")
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {OPERATOR_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


if __name__ == "__main__":
    order = msgspec.json.decode(sys.argv[1], type=Order)
    publishers = _Publishers(order)
    publishers.greet()
    print("connected", flush=True)  # noqa: T201 read by the benchmark
    sys.stdin.readline()
    Path(order.file).write_bytes(msgspec.msgpack.encode(publishers.run()))
