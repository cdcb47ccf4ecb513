"""Publish the events, in a process of its own: requests that were built beforehand, over kept connections.

With a rate the load is open-loop: each request has a due time, and its latency counts from then however late it is
sent. Without one, each connection publishes again as soon as it has its response, while no more than the plan's window
is in flight.

Its one argument is a :class:`PublishersConfig` as JSON. Once every connection had a response it prints "connected" and
waits for a line of standard input: the cost of a new connection is not measured, as it is not for the baseline. The
number of deliveries that arrived comes from the receiver's counter.
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

from benchmarks.http1 import Connection, Message
from benchmarks.plan import EVENT_CODE, OPERATOR_KEY, Plan, organization_id
from benchmarks.shared_counter import SharedCounter

COUNTER_POLL_SECONDS: Final = 0.0005  # while the window is full
RESPONSE_TIMEOUT_SECONDS: Final = 60.0
_ACCEPTED: Final = b"HTTP/1.1 202"
_HEALTH_REQUEST: Final = b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n"


class PublishersConfig(Struct, frozen=True):
    """Configure the publishers: the load, the nodes (host and port), the receiver's counter, the file for the log."""

    plan: Plan
    nodes: list[tuple[str, int]]
    counter: str
    file: str


class PublishLog(Struct):
    """Log accepted events by position: id, due time and time of acceptance (monotonic seconds); and what was refused.

    ``response_times``: seconds from sending to the response. ``refused``: requests by status or reason. ``cpu``:
    seconds of this process from the first due time on.
    """

    ids: list[str] = []
    due: list[float] = []
    accepted: list[float] = []
    response_times: list[float] = []
    refused: dict[str, int] = {}
    cpu: float = 0.0


class _Receipt(Struct):
    id: str


class _Receipts(Struct):
    data: list[_Receipt]


_RECEIPT: Final = msgspec.json.Decoder(_Receipt)
_RECEIPTS: Final = msgspec.json.Decoder(_Receipts)


class _Publisher:
    """Hold one connection and the request that waits for its response."""

    __slots__ = ("address", "connection", "due", "is_waiting", "sent")

    def __init__(self, connection: Connection, address: tuple[str, int]) -> None:
        self.connection = connection
        self.address = address
        self.is_waiting = False
        self.due = self.sent = 0.0


class _Publishers:
    """Publish the plan over all connections."""

    def __init__(self, config: PublishersConfig) -> None:
        self._plan = plan = config.plan
        self._counter = SharedCounter(Path(config.counter))
        self._poll = select.epoll()
        self._publishers: dict[int, _Publisher] = {}
        self._idle: list[_Publisher] = []
        self._waiting = 0
        self._remaining = plan.events // plan.batch
        self._number = 0
        self._last_sent = 0.0
        self._is_open_loop = bool(plan.rate) and not plan.sequential
        self._sent_deliveries = 0
        self._body = _body(plan)
        self._heads = [_head(plan, number, len(self._body)) for number in range(plan.organizations)]
        self._ids: list[str] = []
        self._due, self._accepted, self._response_times = array.array("d"), array.array("d"), array.array("d")
        self._refused: dict[str, int] = {}
        for number in range(plan.connections):
            self._connect(config.nodes[number % len(config.nodes)])

    def warm_up_connections(self) -> None:
        """Send a health request on every connection and wait for all responses."""
        for publisher in self._publishers.values():
            publisher.connection.send(_HEALTH_REQUEST)
        waiting = set(self._publishers)
        while waiting:
            ready = self._poll.poll(RESPONSE_TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"no response for {RESPONSE_TIMEOUT_SECONDS:.0f} seconds")
            waiting.difference_update(number for number, _ in ready if self._publishers[number].connection.receive())

    def run(self) -> PublishLog:
        """Publish everything; return once every request has its response or lost its connection."""
        self._started, cpu = time.monotonic(), time.process_time()
        while self._remaining or self._waiting:
            self._send()
            for number, _ in self._ready():
                self._receive(self._publishers[number])
        return PublishLog(
            ids=self._ids, due=list(self._due), accepted=list(self._accepted),
            response_times=list(self._response_times), refused=self._refused, cpu=time.process_time() - cpu,
        )  # fmt: skip

    def _connect(self, address: tuple[str, int]) -> None:
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        publisher = _Publisher(Connection(connection, self._poll), address)
        self._publishers[publisher.connection.number] = publisher
        self._idle.append(publisher)

    def _send(self) -> None:
        """Send every request that is due."""
        plan, heads, body = self._plan, self._heads, self._body
        while self._idle and self._remaining and (due := self._next_due()) <= (now := time.monotonic()):
            publisher = self._idle.pop()
            self._remaining -= 1
            self._waiting += 1
            self._sent_deliveries += plan.batch * plan.fan_out
            request = heads[self._number % len(heads)] + body
            self._number += 1
            self._last_sent = now
            publisher.is_waiting, publisher.due, publisher.sent = True, due if self._is_open_loop else now, now
            try:
                publisher.connection.send(request)
            except ConnectionError:
                self._replace(publisher)

    def _next_due(self) -> float:
        """Return when the next request is due; infinity while the window is full."""
        plan = self._plan
        if self._is_open_loop:
            return self._started + self._number * plan.batch / plan.rate
        in_flight = self._sent_deliveries - self._counter.value
        if in_flight >= (1 if plan.sequential else plan.window * plan.fan_out):
            return float("inf")
        return self._last_sent + 1 / plan.rate if plan.sequential else 0.0

    def _ready(self) -> list[tuple[int, int]]:
        """Wait for responses, at most until the next request is due, to the microsecond, which epoll cannot do."""
        if not (self._idle and self._remaining):
            ready = self._poll.poll(RESPONSE_TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"no response for {RESPONSE_TIMEOUT_SECONDS:.0f} seconds")
            return ready
        wait = self._next_due() - time.monotonic()
        is_window_full = wait > RESPONSE_TIMEOUT_SECONDS
        select.select([self._poll], [], [], COUNTER_POLL_SECONDS if is_window_full else max(0.0, wait))
        return self._poll.poll(0)

    def _receive(self, publisher: _Publisher) -> None:
        try:
            messages = publisher.connection.receive()
        except ConnectionError:
            self._replace(publisher)
            return
        for message in messages:
            self._record(publisher, message)
            publisher.is_waiting = False
            self._waiting -= 1
            self._idle.append(publisher)

    def _record(self, publisher: _Publisher, message: Message) -> None:
        head, body = message
        if not head.startswith(_ACCEPTED):
            self._refuse(head[9:12].decode())
            return
        now = time.monotonic()
        self._response_times.append(now - publisher.sent)
        receipts = [_RECEIPT.decode(body)] if self._plan.batch == 1 else _RECEIPTS.decode(body).data
        for receipt in receipts:
            self._ids.append(receipt.id)
            self._due.append(publisher.due)
            self._accepted.append(now)

    def _refuse(self, reason: str) -> None:
        self._refused[reason] = self._refused.get(reason, 0) + 1
        self._sent_deliveries -= self._plan.batch * self._plan.fan_out

    def _replace(self, publisher: _Publisher) -> None:
        """Open a new connection for one that was lost, perhaps together with a response."""
        del self._publishers[publisher.connection.number]
        publisher.connection.close()
        if publisher.is_waiting:
            self._waiting -= 1
            self._refuse("connection lost")
        else:
            self._idle.remove(publisher)
        self._connect(publisher.address)


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
    config = msgspec.json.decode(sys.argv[1], type=PublishersConfig)
    publishers = _Publishers(config)
    publishers.warm_up_connections()
    print("connected", flush=True)  # noqa: T201 read by the benchmark
    sys.stdin.readline()
    Path(config.file).write_bytes(msgspec.msgpack.encode(publishers.run()))
