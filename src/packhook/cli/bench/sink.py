"""The benchmark's receiver, a process of its own: answers at once, checks every signature and body, notes every id.

It prints its port. How many different deliveries have arrived is in its :class:`Counter`. On a line of standard input
it writes what it noted to the file that the line names, prints "written", and begins anew; at the input's end it ends.

Its one argument is a :class:`Post` as JSON.
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

from packhook.cli.bench.counter import Counter
from packhook.cli.bench.plan import SECRET, Plan
from packhook.cli.bench.wire import Line, header

_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_BLOCK: Final = 64
_TOLERANCE_SECONDS: Final = 300


class Post(Struct, frozen=True, kw_only=True):
    """What will come, and how: the file of the counter; a certificate with its key, empty for plain HTTP.

    ``sabotage`` proves the check: ``id`` forgets one delivery, ``signature`` and ``body`` expect other ones.
    """

    plan: Plan
    counter: str
    certificate: str = ""
    sabotage: str = ""


class Noted(Struct):
    """What arrived: path and id (``/0/0 evt_…``) to the moment of its first arrival, in monotonic seconds."""

    first: dict[bytes, float] = {}
    duplicates: int = 0
    badly_signed: int = 0
    wrong_bodies: int = 0
    cpu: float = 0.0


class Check:
    """Whether a delivery is signed by Standard Webhooks 1.0.0, and carries what was published under its id.

    HMAC is put together by hand from two hash states that are made once, as packhook's is, but by code of its own.
    """

    def __init__(self, data: bytes, secret: str = SECRET) -> None:
        key = base64.b64decode(secret.removeprefix("whsec_")).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(each ^ 0x36 for each in key))
        self._outer = hashlib.sha256(bytes(each ^ 0x5C for each in key))
        self._end = data + b"}"

    def is_signed(self, head: bytes, event_id: bytes, body: bytes) -> bool:
        """By the one secret, for this id and this body, now."""
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
        """The body is of this event and of the organization the path is of, its data to the byte what was published."""
        organization = b'"organization_id":"bench-%b","data":' % path[1 : path.find(b"/", 1)]
        return body.startswith(b'{"id":"%b"' % event_id) and body.endswith(self._end) and organization in body


class _Sink:
    def __init__(self, post: Post, listener: socket.socket) -> None:
        self._counter = Counter(Path(post.counter))
        secret = "whsec_" + base64.b64encode(bytes(32)).decode() if post.sabotage == "signature" else SECRET
        data = post.plan.data()
        self._check = Check(b"another" + data if post.sabotage == "body" else data, secret)
        self._forgets = post.sabotage == "id"
        self._context = _context(post.certificate) if post.certificate else None
        self._noted = Noted()
        self._began = time.process_time()
        self._lines: dict[int, Line] = {}
        self._listener = listener
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)
        self._poll.register(sys.stdin, select.EPOLLIN)

    def run(self) -> None:
        """Until standard input ends."""
        lines, listener = self._lines, self._listener.fileno()
        while True:
            for number, _ in self._poll.poll():
                if number in lines:
                    self._hear(lines[number])
                elif number == listener:
                    self._accept()
                elif not self._obey(sys.stdin.readline().strip()):
                    return
            self._counter.value = len(self._noted.first)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            connection.setblocking(False)
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        line = Line(connection, self._poll)
        self._lines[line.number] = line

    def _hear(self, line: Line) -> None:
        try:
            for head, body in line.take():
                line.send(_OK)  # answer first, look afterwards
                self._note(head, body)
        except OSError:
            del self._lines[line.number]
            line.close()

    def _note(self, head: bytes, body: bytes) -> None:
        noted, event_id = self._noted, header(head, b"webhook-id")
        path = head[5 : head.find(b" ", 5)]  # after "POST "
        if not self._check.is_signed(head, event_id, body):
            noted.badly_signed += 1
        if not self._check.is_right(path, event_id, body):
            noted.wrong_bodies += 1
        where = b"%b %b" % (path, event_id)
        if where in noted.first:
            noted.duplicates += 1
        elif self._forgets:
            self._forgets = False
        else:
            noted.first[where] = time.monotonic()

    def _obey(self, file: str) -> bool:
        if not file:
            return False
        self._noted.cpu = time.process_time() - self._began
        Path(file).write_bytes(msgspec.msgpack.encode(self._noted))
        self._noted, self._began = Noted(), time.process_time()
        self._counter.value = 0
        print("written", flush=True)  # noqa: T201 read by the benchmark
        return True


def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _serve(post: Post) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sink = _Sink(post, listener)
        os.set_blocking(listener.fileno(), True)
        print(listener.getsockname()[1], flush=True)  # noqa: T201 read by the benchmark
        sink.run()


if __name__ == "__main__":
    _serve(msgspec.json.decode(sys.argv[1], type=Post))
