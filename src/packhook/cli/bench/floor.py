"""The floor: the same bodies, signed and posted by the bare sending library, as many at a time; nothing else.

Prints :class:`Floor`. Its one argument is an :class:`Order` as JSON.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import msgspec
import pycurl
import uvloop
from msgspec import Struct

from packhook.cli.bench.plan import EVENT_CODE, SECRET, Plan, organization_id
from packhook.core import ids
from packhook.core.clock import to_rfc3339
from packhook.core.signature import hmac_key, sign


class Order(Struct, frozen=True):
    """How many and how big (the plan), to which URL, trusting which authorities; how many come before, uncounted."""

    plan: Plan
    url: str
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


def item(data: bytes, key: bytes) -> Item:
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


async def _post(order: Order) -> Floor:
    multi = pycurl.AsyncCurlMulti()
    handles = [_handle(order) for _ in range(order.plan.connections)]
    await _round(multi, handles, order, order.warm_up)
    began, cpu = time.monotonic(), time.process_time()
    await _round(multi, handles, order, order.plan.events)
    floor = Floor(order.plan.events, time.monotonic() - began, time.process_time() - cpu)
    await multi.aclose()
    return floor


def _handle(order: Order) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, order.url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    if order.ca_bundle:
        curl.setopt(pycurl.CAINFO, order.ca_bundle)
    return curl


async def _round(multi: pycurl.AsyncCurlMulti, handles: list[pycurl.Curl], order: Order, count: int) -> None:
    left = iter(range(count))
    await asyncio.gather(*(_one_after_another(multi, handle, order, left) for handle in handles))


async def _one_after_another(
    multi: pycurl.AsyncCurlMulti, curl: pycurl.Curl, order: Order, left: Iterator[int]
) -> None:
    key, data = hmac_key(SECRET), order.plan.data()
    for _ in left:
        made = item(data, key)
        curl.setopt(pycurl.HTTPHEADER, [*made.headers, "Expect:", "Accept:"])
        curl.setopt(pycurl.POSTFIELDS, made.body)
        await multi.add_handle(curl)


if __name__ == "__main__":
    floor = uvloop.run(_post(msgspec.json.decode(sys.argv[1], type=Order)))
    print(msgspec.json.encode(floor).decode(), flush=True)  # noqa: T201 read by the benchmark
