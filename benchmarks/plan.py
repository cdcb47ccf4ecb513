"""Describe the load of one scenario: one value that every process of the benchmark gets."""

import json
from typing import Final

import msgspec
from msgspec import Struct

from packhook.core.order_events import example_order

SECRET: Final = "whsec_" + "YmVuY2gtc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmchISE="
OPERATOR_KEY: Final = "pho_bench_only_on_loopback"
EVENT_CODE: Final = "order.created"


class Plan(Struct, frozen=True, kw_only=True):
    """Describe one scenario. Sizes are bytes.

    ``rate``: events a second, open-loop; 0: as fast as they are accepted. ``window``: publishing pauses while so many
    events are in flight, so that the backlog stays flat. ``sequential``: publish an event only when the one before has
    arrived, and measure from the moment it is sent. ``tls``: the receiver speaks https. ``history`` and ``backlog``:
    events delivered before the start, and deliveries that wait for dead webhooks meanwhile. ``days``: over how many
    days before yesterday the history is spread; 0: over some seconds.
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
    sequential: bool = False
    tls: bool = True
    history: int = 0
    days: int = 0
    backlog: int = 0

    @property
    def deliveries(self) -> int:
        """Return how many deliveries must arrive."""
        return self.events * self.fan_out

    @property
    def organizations(self) -> int:
        """Return the number of organizations: each has ``fan_out`` webhooks, and events go to each in rotation."""
        return max(1, self.webhooks // self.fan_out)

    def data(self) -> bytes:
        """Return the data of an event: an order of about ``payload`` bytes."""
        order = example_order(EVENT_CODE)
        order["note"] = "x" * max(0, self.payload - len(json.dumps(order)) - len(', "note": ""'))
        return msgspec.json.encode(order)

    def replace(self, events: int, **changes: float) -> "Plan":
        """Return this plan with another number of events, rounded down to whole batches, and other changes."""
        changed = msgspec.structs.replace(self, **changes)
        return msgspec.structs.replace(changed, events=max(1, events // changed.batch) * changed.batch)


def organization_id(number: int) -> str:
    """Return the id of the benchmark's organization with this number."""
    return f"bench-{number}"
