"""Count the responses that are lost where a receiver responds early: ``python -m benchmarks.early_responses``.

The receiver reads the head of a request of 250 KB, responds 413 and closes with the rest unread, so its system resets
the connection. Packhook's client and libcurl send in turn, over http and https, one request at a time. A packet socket
on the loopback interface keeps what the receiver's system sends meanwhile, so it is known of each lost response whether
it was sent at all. Needs Linux, and root for the packet socket.
"""

import argparse
import asyncio
import ctypes
import multiprocessing
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import pycurl
import uvloop

from benchmarks.certificates import TlsFiles, create_tls_files
from packhook.core.model import Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress

BODY: Final = b"x" * 250_000
RESPONSE: Final = b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 7\r\n\r\ntoo big"
RECORD: Final = struct.pack(">H", len(RESPONSE) + 1 + 16)
"""How the TLS 1.3 record with the response says its length: one byte of type, sixteen of tag."""

RCVBUFFORCE: Final = 33
ATTACH_FILTER: Final = 26
OUTGOING: Final = 4
ETH_P_ALL: Final = 3
Send = Callable[[], Awaitable[bool]]


def receive(ready: Connection, files: TlsFiles | None) -> None:
    """Run the receiver in this process, and send its port."""
    context = None
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    ready.send(listening.getsockname()[1])
    while True:
        accepted, _ = listening.accept()
        threading.Thread(target=_respond, args=(accepted, context), daemon=True).start()


def _respond(accepted: socket.socket, context: ssl.SSLContext | None) -> None:
    try:
        connected = accepted if context is None else context.wrap_socket(accepted, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connected.recv(1_024)
        connected.sendall(RESPONSE)
        connected.close()
    except OSError:
        accepted.close()


class Capture:
    """Keep what the system sends from a port, by the port it goes to, in the order of the connections."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 64 * 1024 * 1024)
        rules = (0x28, 0, 0, 20), (0x15, 0, 1, port), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)  # TCP source port
        program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
        filter_ = struct.pack("HL", len(rules), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, filter_)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.5)
        self.sent: dict[int, bytes] = {}

    def read(self) -> list[bytes]:
        """Return what was sent over each connection since the last call."""
        self.sent = {}
        while True:
            try:
                packet, address = self._socket.recvfrom(1 << 17)
            except TimeoutError:
                return list(self.sent.values())
            if address[2] != OUTGOING:  # else it came in again: loopback shows each packet twice
                continue
            tcp = 4 * (packet[0] & 15)
            to = int.from_bytes(packet[tcp + 2 : tcp + 4], "big")
            payload = packet[tcp + 4 * (packet[tcp + 12] >> 4) : int.from_bytes(packet[2:4], "big")]
            self.sent[to] = self.sent.get(to, b"") + payload


def was_sent(sent: bytes, *, is_tls: bool) -> bool:
    """Return whether the response is among what was sent."""
    return RESPONSE in sent if not is_tls else RECORD in [sent[at + 3 : at + 5] for at in _records(sent)]


def _records(sent: bytes) -> Iterator[int]:
    at = 0
    while at + 5 <= len(sent):
        yield at
        at += 5 + int.from_bytes(sent[at + 3 : at + 5], "big")


@contextmanager
def running_receiver(files: TlsFiles | None) -> Iterator[int]:
    """Run a receiver, and yield its port."""
    ready, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(child, files), daemon=True)
    process.start()
    yield ready.recv()
    process.kill()


def libcurl(url: str, bundle: Path) -> Send:
    """Return what sends a request with libcurl, and returns whether its response arrived."""

    async def send() -> bool:
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.URL, url), (pycurl.CAINFO, str(bundle)), (pycurl.POST, 1), (pycurl.POSTFIELDS, BODY),
            (pycurl.HTTPHEADER, ["expect:"]), (pycurl.WRITEFUNCTION, len), (pycurl.NOPROXY, "*"),
        ):  # fmt: skip
            curl.setopt(option, value)
        try:
            await asyncio.to_thread(curl.perform)
            return bool(curl.getinfo(pycurl.RESPONSE_CODE) == 413)
        except pycurl.error:
            return False
        finally:
            curl.close()

    return send


async def compare(scheme: str, port: int, bundle: Path, requests: int, rounds: int) -> None:
    """Print what was lost, and of that what the receiver's system had sent."""
    url = f"{scheme}://127.0.0.1:{port}/"
    capture = Capture(port)
    client = HttpClient(Egress((ip_network("127.0.0.0/8"),), allow_http=True), ca_bundle=bundle)
    await client.open()

    async def packhook() -> bool:
        outcome = await client.send(Request(url=url, headers="", body=BODY, timeout=10_000))
        return outcome.status_code == 413

    for name, send in 2 * (("packhook", packhook), ("libcurl", libcurl(url, bundle))):
        lost = on_the_wire = seen = 0
        for _ in range(rounds):
            arrived = [await send() for _ in range(requests // rounds)]
            sent = await asyncio.to_thread(capture.read)
            seen += len(sent)
            lost += arrived.count(False)
            for has_arrived, bytes_sent in zip(arrived, sent, strict=False):
                on_the_wire += not has_arrived and was_sent(bytes_sent, is_tls=scheme == "https")
        print(  # noqa: T201 a command line
            f"{scheme:5} {name:8}: {lost:3} of {requests} lost; of these {on_the_wire} had left the receiver's system "
            f"({seen} connections seen)",
            flush=True,
        )
    await client.close()


async def main(requests: int, rounds: int) -> None:
    """Compare over http and over https."""
    with tempfile.TemporaryDirectory() as folder:
        files = create_tls_files(Path(folder))
        for scheme in ("http", "https"):
            with running_receiver(files if scheme == "https" else None) as port:
                await compare(scheme, port, files.ca_bundle, requests, rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.requests, arguments.rounds))
