"""What is to be measured: one value that every process of the benchmark gets."""

import json
from typing import Final

import msgspec
from msgspec import Struct

from packhook.service.example import example_order

SECRET: Final = "whsec_" + "YmVuY2gtc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmchISE="
OPERATOR_KEY: Final = "pho_bench_only_on_loopback"
EVENT_CODE: Final = "order.created"


class Plan(Struct, frozen=True, kw_only=True):
    """One scenario. ``rate`` is events a second, 0: as fast as they are accepted. Sizes are bytes.

    ``window`` is how many events may be on their way before publishing pauses, so that the backlog stays flat.
    ``alone``: each event waits until the one before has arrived, and counts from when it is sent. ``tls``: whether the
    receiver is asked over https. ``history`` and ``backlog``: events that were delivered before, and deliveries that
    wait for dead webhooks, before it begins.
    """

    events: int = 20_000
    rate: float = 0.0
    connections: int = 64
    batch: int = 1
    payload: int = 1024
    fan_out: int = 1
    webhooks: int = 1
    processes: int = 1
    window: int = 2_000
    alone: bool = False
    tls: bool = False
    history: int = 0
    backlog: int = 0

    @property
    def deliveries(self) -> int:
        """How many must arrive."""
        return self.events * self.fan_out

    @property
    def organizations(self) -> int:
        """Each has ``fan_out`` webhooks; events go round over the organizations."""
        return max(1, self.webhooks // self.fan_out)

    def data(self) -> bytes:
        """An event's data: an order of about ``payload`` bytes."""
        order = example_order(EVENT_CODE)
        order["note"] = "x" * max(0, self.payload - len(json.dumps(order)) - len(', "note": ""'))
        return msgspec.json.encode(order)

    def of(self, events: int, **changes: float) -> "Plan":
        """The same with another number of events (whole batches of them) and other changes."""
        changed = msgspec.structs.replace(self, **changes)
        return msgspec.structs.replace(changed, events=max(1, events // changed.batch) * changed.batch)


def organization_id(number: int) -> str:
    """The benchmark's organizations are numbered."""
    return f"bench-{number}"
