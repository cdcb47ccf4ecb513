"""The floor: the same bodies, signed and posted by the bare sending library, as many at a time; nothing else.

Prints :class:`Floor`. Its one argument is an :class:`Order` as JSON.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator

import msgspec
import pycurl
import uvloop
from msgspec import Struct

from packhook.cli.bench.meter import cpu_seconds
from packhook.cli.bench.plan import EVENT_CODE, SECRET, Plan, organization_id
from packhook.core import ids
from packhook.core.clock import to_rfc3339
from packhook.core.signature import hmac_key, sign


class Order(Struct, frozen=True):
    """How many and how big (the plan), and to which URL."""

    plan: Plan
    url: str


class Floor(Struct, frozen=True):
    """What it came to: requests, wall seconds, CPU seconds of this process."""

    requests: int
    seconds: float
    cpu: float


async def _post(order: Order) -> Floor:
    multi = pycurl.AsyncCurlMulti()
    left = iter(range(order.plan.events))
    began, cpu = time.monotonic(), cpu_seconds(os.getpid())
    await asyncio.gather(*(_one_after_another(multi, order, left) for _ in range(order.plan.connections)))
    floor = Floor(order.plan.events, time.monotonic() - began, cpu_seconds(os.getpid()) - cpu)
    await multi.aclose()
    return floor


async def _one_after_another(multi: pycurl.AsyncCurlMulti, order: Order, left: Iterator[int]) -> None:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, order.url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    key, data = hmac_key(SECRET), order.plan.data()
    for _ in left:
        event_id, now = ids.event_id(), time.time()
        head = (
            f'{{"id":"{event_id}","type":"{EVENT_CODE}","timestamp":"{to_rfc3339(int(now * 1000))}",'
            f'"organization_id":"{organization_id(0)}","data":'
        )
        body = b"".join((head.encode(), data, b"}"))
        curl.setopt(
            pycurl.HTTPHEADER,
            [
                "content-type: application/json",
                "user-agent: packhook/floor",
                f"webhook-id: {event_id}",
                f"webhook-timestamp: {int(now)}",
                f"webhook-signature: {sign([key], event_id, int(now), body)}",
                f"webhook-event: {EVENT_CODE}",
                "webhook-attempt: 1",
                "Expect:",
                "Accept:",
            ],
        )
        curl.setopt(pycurl.POSTFIELDS, body)
        await multi.add_handle(curl)
    curl.close()


if __name__ == "__main__":
    floor = uvloop.run(_post(msgspec.json.decode(sys.argv[1], type=Order)))
    print(msgspec.json.encode(floor).decode(), flush=True)  # noqa: T201 read by the benchmark
