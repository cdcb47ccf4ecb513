"""Post the same requests without packhook: sign and send only, no API, no store, no retries.

The client is either libcurl through pycurl's multi interface, or packhook's own client, which checks the address of
every connection. Prints :class:`BaselineUsage`. Its one argument is a :class:`BaselineConfig` as JSON.
"""

import asyncio
import ipaddress
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec
import pycurl
import uvloop
from msgspec import Struct

from benchmarks.plan import EVENT_CODE, SECRET, Plan, organization_id
from packhook.core import ids
from packhook.core.clock import SECOND, to_rfc3339
from packhook.core.errors import StartError
from packhook.core.model import Request
from packhook.core.signatures.standard import SigningKey, sign
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress

TIMEOUT: Final = 15 * SECOND

ClientName = Literal["libcurl", "packhook"]


class BaselineConfig(Struct, frozen=True):
    """Configure the load, its URL, the client and the CA bundle; ``warm_up``: requests that are not measured."""

    plan: Plan
    url: str
    client: ClientName
    ca_bundle: str = ""
    warm_up: int = 0


class BaselineUsage(Struct, frozen=True):
    """Hold the number of requests, the seconds they took, and the CPU seconds of this process."""

    requests: int
    seconds: float
    cpu: float


class SignedRequest(Struct, frozen=True):
    """Hold the header lines and the body of a request as packhook would send it."""

    headers: list[str]
    body: bytes


def signed_request(data: bytes, key: SigningKey) -> SignedRequest:
    """Build the request for a new event with this data, signed now."""
    event_id, now = ids.event_id(), time.time()
    head = (
        f'{{"id":"{event_id}","type":"{EVENT_CODE}","timestamp":"{to_rfc3339(int(now * 1000))}",'
        f'"organization_id":"{organization_id(0)}","data":'
    )
    body = b"".join((head.encode(), data, b"}"))
    headers = [
        "content-type: application/json",
        "user-agent: packhook/baseline",
        f"webhook-id: {event_id}",
        f"webhook-timestamp: {int(now)}",
        f"webhook-signature: {sign([key], event_id, int(now), body)}",
        f"webhook-event: {EVENT_CODE}",
        "webhook-attempt: 1",
    ]
    return SignedRequest(headers, body)


Post = Callable[[SignedRequest], Awaitable[None]]
"""Post one request; one at a time."""


async def _run(config: BaselineConfig) -> BaselineUsage:
    async with (_libcurl if config.client == "libcurl" else _packhook)(config) as posts:
        await _post_all(posts, config, config.warm_up)
        started, cpu = time.monotonic(), time.process_time()
        await _post_all(posts, config, config.plan.events)
        return BaselineUsage(config.plan.events, time.monotonic() - started, time.process_time() - cpu)


async def _post_all(posts: list[Post], config: BaselineConfig, count: int) -> None:
    remaining = iter(range(count))
    key, data = SigningKey(SECRET), config.plan.data()

    async def one_after_another(post: Post) -> None:
        for _ in remaining:
            await post(signed_request(data, key))

    await asyncio.gather(*map(one_after_another, posts))


@asynccontextmanager
async def _libcurl(config: BaselineConfig) -> AsyncIterator[list[Post]]:
    multi = pycurl.AsyncCurlMulti()
    handles = [_handle(config) for _ in range(config.plan.connections)]

    async def post(handle: pycurl.Curl, request: SignedRequest) -> None:
        handle.setopt(pycurl.HTTPHEADER, [*request.headers, "Expect:", "Accept:"])
        handle.setopt(pycurl.POSTFIELDS, request.body)
        await multi.add_handle(handle)

    yield [partial(post, handle) for handle in handles]
    await multi.aclose()


def _handle(config: BaselineConfig) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, config.url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    if config.ca_bundle:
        curl.setopt(pycurl.CAINFO, config.ca_bundle)
    return curl


@asynccontextmanager
async def _packhook(config: BaselineConfig) -> AsyncIterator[list[Post]]:
    egress = Egress(allow=(ipaddress.ip_network("127.0.0.0/8"),), allow_http=True)
    client = HttpClient(egress, ca_bundle=Path(config.ca_bundle) if config.ca_bundle else None)
    await client.open()

    async def post(request: SignedRequest) -> None:
        headers = "".join([f"{line}\r\n" for line in request.headers])
        outcome = await client.send(Request(url=config.url, headers=headers, body=request.body, timeout=TIMEOUT))
        if outcome.failure is not None:
            raise StartError(f"packhook's client failed: {outcome.failure}: {outcome.detail}")

    yield [post] * config.plan.connections
    await client.close()


if __name__ == "__main__":
    usage = uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=BaselineConfig)))
    print(msgspec.json.encode(usage).decode(), flush=True)  # noqa: T201 read by the benchmark
