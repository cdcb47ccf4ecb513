"""Compare the CPU of a POST: packhook's HTTP client beside bare libcurl, in turn, in one run.

    python benchmarks/http_client.py [--plain] [--new-connections] [--requests 4000] [--concurrency 64] [--rounds 7]

Prints the median over the rounds, in µs of CPU for one request. libcurl guards no address and keeps nothing of a
response; with ``--new-connections`` the receiver closes the connection after each response. Needs pycurl and trustme
(the ``dev`` group).
"""

import argparse
import asyncio
import ipaddress
import multiprocessing
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pycurl
import trustme
import uvloop

from packhook.core.model import Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress

BODY = b'{"id":"evt_1","data":"' + b"x" * 1_000 + b'"}'
HEADERS = {
    "content-type": "application/json",
    "user-agent": "packhook/benchmark",
    "webhook-id": "evt_01kc7n5w9xj4",
    "webhook-timestamp": "1764547200",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
Post = Callable[[], Awaitable[None]]


class Receiver(asyncio.Protocol):
    """Answer 200 to each request, whose body ends as BODY does."""

    close = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing received."""
        self.transport, self.received = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self.received += data
        if self.received.endswith(BODY[-16:]):
            self.received = b""
            extra = b"connection: close\r\n" if self.close else b""
            self.transport.write(b"HTTP/1.1 200 OK\r\n" + extra + b"content-length: 2\r\n\r\nok")  # type: ignore[attr-defined]
            if self.close:
                self.transport.close()


def receive(ready: Connection, context: ssl.SSLContext | None, close: bool) -> None:
    """Run the receiver in this process, and send its port."""

    async def serve() -> None:
        Receiver.close = close
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, ssl=context, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def run(by: str, url: str, bundle: str, requests: int, concurrency: int) -> float:
    """Send the requests; return the seconds of CPU of this process for one."""

    async def rounds() -> float:
        posts, close = await (libcurl if by == "libcurl" else packhook)(url, bundle, concurrency)
        for count in (requests // 10, requests):
            left, began = iter(range(count)), time.process_time()

            async def one_after_another(post: Post) -> None:
                for _ in left:  # noqa: B023 shared by all of this round
                    await post()

            await asyncio.gather(*map(one_after_another, posts))
        used = time.process_time() - began
        await close()
        return used / requests

    return uvloop.run(rounds())


async def libcurl(url: str, bundle: str, concurrency: int) -> tuple[list[Post], Post]:
    """Post through pycurl's own multi interface."""
    multi = pycurl.AsyncCurlMulti()
    lines = [f"{name}: {value}" for name, value in HEADERS.items()]

    def a_post() -> Post:
        curl = pycurl.Curl()
        for option, value in ((pycurl.URL, url), (pycurl.POST, 1), (pycurl.CAINFO, bundle), (pycurl.PROXY, "")):
            curl.setopt(option, value)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)

        async def post() -> None:
            curl.setopt(pycurl.HTTPHEADER, [*lines, "Expect:", "Accept:"])
            curl.setopt(pycurl.POSTFIELDS, BODY)
            await multi.add_handle(curl)
            _require_ok(curl.getinfo(pycurl.RESPONSE_CODE))

        return post

    return [a_post() for _ in range(concurrency)], multi.aclose


def _require_ok(status_code: int | None) -> None:
    """Raise RuntimeError unless the request was answered 200: a failed request costs something else."""
    if status_code != 200:
        raise RuntimeError(f"answered {status_code}")


async def packhook(url: str, bundle: str, concurrency: int) -> tuple[list[Post], Post]:
    """Post through packhook's client, with everything that it checks."""
    egress = Egress((ipaddress.ip_network("127.0.0.0/8"),), allow_http=True)
    client = HttpClient(egress, ca_bundle=Path(bundle))
    await client.open()
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())

    async def post() -> None:
        outcome = await client.send(Request(url=url, headers=lines, body=BODY, timeout=15_000))
        _require_ok(outcome.status_code)

    return [post] * concurrency, client.close


def main() -> None:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help="http in place of https")
    parser.add_argument("--new-connections", action="store_true")
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    receiver = fork.Process(
        target=receive, args=(theirs, None if options.plain else context, options.new_connections), daemon=True
    )
    receiver.start()
    url = f"{'http' if options.plain else 'https'}://127.0.0.1:{ours.recv()}/hook"
    spent: dict[str, list[float]] = {"libcurl": [], "packhook": []}
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        bundle = str(Path(folder, "authority.pem"))
        authority.cert_pem.write_to_path(bundle)
        for _ in range(options.rounds):
            for by, results in spent.items():
                results.append(pool.apply(run, (by, url, bundle, options.requests, options.concurrency)))
    receiver.terminate()
    medians = {by: statistics.median(results) * 1e6 for by, results in spent.items()}
    ratio = statistics.median(mine / bare for mine, bare in zip(spent["packhook"], spent["libcurl"], strict=True))
    print(", ".join(f"{by} {median:.1f} µs" for by, median in medians.items()) + f"; ratio {ratio:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
