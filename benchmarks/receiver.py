"""Receive the deliveries, in a process of its own: respond at once, then check signature and body and log the id.

It prints its port. The number of different deliveries so far is in its :class:`SharedCounter`. For each line of
standard input it writes its :class:`ReceiptLog` to the file that the line names, prints "written", and starts a new
log; it exits when standard input ends.

Its one argument is a :class:`ReceiverConfig` as JSON.
"""

import base64
import hashlib
import os
import select
import socket
import ssl
import sys
import time
from binascii import b2a_base64
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.http1 import Connection, header
from benchmarks.plan import SECRET, Plan
from benchmarks.shared_counter import SharedCounter

_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_BLOCK_BYTES: Final = 64
_TOLERANCE_SECONDS: Final = 300


class ReceiverConfig(Struct, frozen=True, kw_only=True):
    """Configure the receiver: the load, the counter's file, a PEM file with certificate and key (empty: plain HTTP).

    ``sabotage`` proves that the check works: ``id`` drops one delivery from the log, ``signature`` and ``body`` expect
    other values than were sent.
    """

    plan: Plan
    counter: str
    certificate: str = ""
    sabotage: str = ""


class ReceiptLog(Struct):
    """Log what arrived: path and id (``/0/0 evt_…``) to the monotonic time of the first arrival in seconds."""

    first: dict[bytes, float] = {}
    duplicates: int = 0
    badly_signed: int = 0
    wrong_bodies: int = 0
    cpu: float = 0.0


class DeliveryCheck:
    """Check a delivery against Standard Webhooks 1.0.0 and against what was published.

    The HMAC is written out from two hash states that are computed once, independently of packhook's signing.
    """

    def __init__(self, data: bytes, secret: str = SECRET) -> None:
        key = base64.b64decode(secret.removeprefix("whsec_")).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        self._end = data + b"}"

    def is_signed(self, head: bytes, event_id: bytes, body: bytes) -> bool:
        """Tell whether the signature is valid for this id and body, and at most five minutes old."""
        timestamp = header(head, b"webhook-timestamp")
        inner = self._inner.copy()
        inner.update(b"%b.%b." % (event_id, timestamp))
        inner.update(body)
        outer = self._outer.copy()
        outer.update(inner.digest())
        if header(head, b"webhook-signature") != b"v1," + b2a_base64(outer.digest(), newline=False):
            return False
        return abs(time.time() - int(timestamp)) < _TOLERANCE_SECONDS

    def is_right(self, path: bytes, event_id: bytes, body: bytes) -> bool:
        """Tell whether the body has this event's id, the organization of the path, and the published data."""
        organization = b'"organization_id":"bench-%b","data":' % path[1 : path.find(b"/", 1)]
        return body.startswith(b'{"id":"%b"' % event_id) and body.endswith(self._end) and organization in body


class _ReceiverLoop:
    def __init__(self, config: ReceiverConfig, listener: socket.socket) -> None:
        self._counter = SharedCounter(Path(config.counter))
        secret = "whsec_" + base64.b64encode(bytes(32)).decode() if config.sabotage == "signature" else SECRET
        data = config.plan.data()
        self._check = DeliveryCheck(b"another" + data if config.sabotage == "body" else data, secret)
        self._drops_next = config.sabotage == "id"
        self._context = _context(config.certificate) if config.certificate else None
        self._log = ReceiptLog()
        self._log_started = time.process_time()
        self._connections: dict[int, Connection] = {}
        self._listener = listener
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)
        self._poll.register(sys.stdin, select.EPOLLIN)

    def run(self) -> None:
        """Serve until standard input ends."""
        connections, listener = self._connections, self._listener.fileno()
        while True:
            for number, _ in self._poll.poll():
                if number in connections:
                    self._receive(connections[number])
                elif number == listener:
                    self._accept()
                elif not self._write_log(sys.stdin.readline().strip()):
                    return
            self._counter.value = len(self._log.first)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            connection.setblocking(False)
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        accepted = Connection(connection, self._poll)
        self._connections[accepted.number] = accepted

    def _receive(self, connection: Connection) -> None:
        try:
            for head, body in connection.receive():
                connection.send(_OK)  # respond first, so that the checks are not part of the latency
                self._record(head, body)
        except OSError:
            del self._connections[connection.number]
            connection.close()

    def _record(self, head: bytes, body: bytes) -> None:
        log, event_id = self._log, header(head, b"webhook-id")
        path = head[5 : head.find(b" ", 5)]  # after "POST "
        if not self._check.is_signed(head, event_id, body):
            log.badly_signed += 1
        if not self._check.is_right(path, event_id, body):
            log.wrong_bodies += 1
        delivery = b"%b %b" % (path, event_id)
        if delivery in log.first:
            log.duplicates += 1
        elif self._drops_next:
            self._drops_next = False
        else:
            log.first[delivery] = time.monotonic()

    def _write_log(self, file: str) -> bool:
        if not file:
            return False
        self._log.cpu = time.process_time() - self._log_started
        Path(file).write_bytes(msgspec.msgpack.encode(self._log))
        self._log, self._log_started = ReceiptLog(), time.process_time()
        self._counter.value = 0
        print("written", flush=True)  # noqa: T201 read by the benchmark
        return True


def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _serve(config: ReceiverConfig) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        loop = _ReceiverLoop(config, listener)
        os.set_blocking(listener.fileno(), True)
        print(listener.getsockname()[1], flush=True)  # noqa: T201 read by the benchmark
        loop.run()


if __name__ == "__main__":
    _serve(msgspec.json.decode(sys.argv[1], type=ReceiverConfig))
