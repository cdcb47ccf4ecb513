"""The benchmark's receiver, a process of its own: answers at once, checks every signature, notes every id.

It prints its port, then the number of deliveries that arrived so far, four hundred times a second at most; on a line
of standard input it writes what it noted to the file that the line names, and goes on.
"""

import asyncio
import base64
import hmac
import sys
import time
from pathlib import Path
from typing import Any, Final

import httptools
import msgspec
import uvloop
from msgspec import Struct

from packhook.cli.bench.plan import SECRET

_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_KEY: Final = base64.b64decode(SECRET.removeprefix("whsec_"))
_TELL_SECONDS: Final = 0.0025


class Noted(Struct):
    """What arrived: (path and id) to the moment of its first arrival, in monotonic seconds."""

    first: dict[str, float] = {}
    duplicates: int = 0
    badly_signed: int = 0


class _Connection(asyncio.Protocol):
    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._parser: Any = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._path = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name] = value

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser: answer first, look afterwards."""
        now = time.monotonic()
        self._transport.write(_OK)
        noted, headers = self._noted, self._headers
        signed = b"%b.%b.%b" % (headers[b"webhook-id"], headers[b"webhook-timestamp"], self._body)
        token = b"v1," + base64.b64encode(hmac.digest(_KEY, signed, "sha256"))
        if token != headers[b"webhook-signature"]:
            noted.badly_signed += 1
        where = (self._path + b" " + headers[b"webhook-id"]).decode()
        if where in noted.first:
            noted.duplicates += 1
        else:
            noted.first[where] = now
        self._headers, self._body = {}, b""


async def _serve() -> None:
    noted = Noted()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(noted), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 read by the benchmark
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    telling = asyncio.create_task(_tell(noted))
    while line := (await orders.readline()).decode().strip():
        Path(line).write_bytes(msgspec.msgpack.encode(noted))  # noqa: ASYNC240 the run is over
        noted.first, noted.duplicates, noted.badly_signed = {}, 0, 0
        print("written", flush=True)  # noqa: T201 as above
    telling.cancel()


async def _tell(noted: Noted) -> None:
    told = 0
    while True:
        if len(noted.first) != told:
            told = len(noted.first)
            print(told, flush=True)  # noqa: T201 read by the benchmark
        await asyncio.sleep(_TELL_SECONDS)


if __name__ == "__main__":
    uvloop.run(_serve())
