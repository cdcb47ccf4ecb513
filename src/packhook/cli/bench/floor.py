"""The floor: the same bodies, signed and posted, as many at a time; nothing else: no API, no store, no retries.

By libcurl, through the binding's own multi interface; or by packhook's own sender, which guards every connection.

Prints :class:`Floor`. Its one argument is an :class:`Order` as JSON.
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

from packhook.cli.bench.plan import EVENT_CODE, SECRET, Plan, organization_id
from packhook.core import ids
from packhook.core.clock import SECOND, to_rfc3339
from packhook.core.errors import StartError
from packhook.core.model import Request
from packhook.core.signatures.standard import SigningKey, sign
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress

TIMEOUT: Final = 15 * SECOND


class Order(Struct, frozen=True):
    """How many and how big (the plan), to which URL, by what, trusting which authorities; ``warm_up``: uncounted."""

    plan: Plan
    url: str
    by: Literal["libcurl", "sender"]
    ca_bundle: str = ""
    warm_up: int = 0


class Floor(Struct, frozen=True):
    """What it came to: requests, wall seconds, CPU seconds of this process."""

    requests: int
    seconds: float
    cpu: float


class Item(Struct, frozen=True):
    """One request as packhook would make it."""

    headers: list[str]
    body: bytes


def item(data: bytes, key: SigningKey) -> Item:
    """A new event with this data, signed now."""
    event_id, now = ids.event_id(), time.time()
    head = (
        f'{{"id":"{event_id}","type":"{EVENT_CODE}","timestamp":"{to_rfc3339(int(now * 1000))}",'
        f'"organization_id":"{organization_id(0)}","data":'
    )
    body = b"".join((head.encode(), data, b"}"))
    headers = [
        "content-type: application/json",
        "user-agent: packhook/floor",
        f"webhook-id: {event_id}",
        f"webhook-timestamp: {int(now)}",
        f"webhook-signature: {sign([key], event_id, int(now), body)}",
        f"webhook-event: {EVENT_CODE}",
        "webhook-attempt: 1",
    ]
    return Item(headers, body)


Post = Callable[[Item], Awaitable[None]]
"""One way to post, one request at a time."""


async def _run(order: Order) -> Floor:
    async with (_libcurl if order.by == "libcurl" else _sender)(order) as posts:
        await _round(posts, order, order.warm_up)
        began, cpu = time.monotonic(), time.process_time()
        await _round(posts, order, order.plan.events)
        return Floor(order.plan.events, time.monotonic() - began, time.process_time() - cpu)


async def _round(posts: list[Post], order: Order, count: int) -> None:
    left = iter(range(count))
    key, data = SigningKey(SECRET), order.plan.data()

    async def one_after_another(post: Post) -> None:
        for _ in left:
            await post(item(data, key))

    await asyncio.gather(*map(one_after_another, posts))


@asynccontextmanager
async def _libcurl(order: Order) -> AsyncIterator[list[Post]]:
    multi = pycurl.AsyncCurlMulti()
    handles = [_handle(order) for _ in range(order.plan.connections)]

    async def post(handle: pycurl.Curl, made: Item) -> None:
        handle.setopt(pycurl.HTTPHEADER, [*made.headers, "Expect:", "Accept:"])
        handle.setopt(pycurl.POSTFIELDS, made.body)
        await multi.add_handle(handle)

    yield [partial(post, handle) for handle in handles]
    await multi.aclose()


def _handle(order: Order) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, order.url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    if order.ca_bundle:
        curl.setopt(pycurl.CAINFO, order.ca_bundle)
    return curl


@asynccontextmanager
async def _sender(order: Order) -> AsyncIterator[list[Post]]:
    egress = Egress(allow=(ipaddress.ip_network("127.0.0.0/8"),), allow_http=True)
    sender = HttpClient(egress, ca_bundle=Path(order.ca_bundle) if order.ca_bundle else None)
    await sender.open()

    async def post(made: Item) -> None:
        headers = "".join([f"{line}\r\n" for line in made.headers])
        outcome = await sender.send(Request(url=order.url, headers=headers, body=made.body, timeout=TIMEOUT))
        if outcome.failure is not None:
            raise StartError(f"the bare sender failed: {outcome.failure}: {outcome.detail}")

    yield [post] * order.plan.connections
    await sender.close()


if __name__ == "__main__":
    floor = uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=Order)))
    print(msgspec.json.encode(floor).decode(), flush=True)  # noqa: T201 read by the benchmark
