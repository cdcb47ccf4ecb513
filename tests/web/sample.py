"""Fill a store with a day of a shop's events: real fan-out, claims, attempts and verdicts; only the wire is scripted.

The endpoints, by their webhooks: one that began to fail 41 minutes ago, one that asks to slow down, one whose
certificate has expired (disabled), one that is well, and one that responds with whatever a hostile receiver may send.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec
from structlog.testing import capture_logs

from packhook.cli.demo.orders import events as order_events
from packhook.core.audit import Actor
from packhook.core.clock import DAY, MINUTE, SECOND
from packhook.core.event_types import BUILT_IN
from packhook.core.model import FailureKind, LeasedDelivery, Outcome, Request, Webhook
from packhook.core.replay import ReplayQuery, Selection
from packhook.core.subject import read_value
from packhook.delivery.attempt import attempt, prepare
from packhook.delivery.http.client import Callback, InFlight
from packhook.service.event_types import Definition
from packhook.service.publish import RawEvent
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import ClaimRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.testing import ManualClock

ORGANIZATION: Final = "northwind"
EMPTY: Final = "acme"
SECRET: Final = "q9NhjkjV9o"
HEADER_VALUE: Final = "the-value-of-a-header"
BY: Final = Actor(name="operator", source="192.0.2.7", user_agent="curl/8.5")
TICK: Final = 20 * MINUTE
HOSTILE: Final = (
    b"</pre></textarea><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    b"\x00\x1b[31m\xe2\x80\xae drow\xff{{ 7 * 7 }}" + b"A" * 60_000
)
"""What a hostile receiver sends: markup, control characters, bidirectional text, a template, one very long line."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Hold the ids of what was made."""

    failing: Webhook
    held: Webhook
    disabled: Webhook
    well: Webhook
    hostile: Webhook
    failed_delivery: str
    hostile_delivery: str
    replay: str
    event: str
    order: str
    reference: str


class ScriptedTransport:
    """Respond as each endpoint of the shop does at an instant; the first path segment chooses the behaviour."""

    def __init__(self, clock: ManualClock, end: int, always_well: tuple[str, ...] = ()) -> None:
        self._always_well = always_well
        self._clock = clock
        self._end = end
        self._count = 0

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Respond in the next turn of the loop."""
        self._count += 1
        return asyncio.get_running_loop().call_soon(callback, self._outcome(request.url))

    def _outcome(self, url: str) -> Outcome:
        left = self._end - self._clock.now()
        name = url.partition("://")[2].partition(".")[0]
        if name in self._always_well:
            return _ok(40 + self._count * 29 % 110)
        respond: dict[str, Callable[[int], Outcome]] = {
            "shop": self._shop,
            "erp": self._erp,
            "api": lambda _: Outcome(
                failure=FailureKind.TLS,
                detail="the certificate expired on 2026-11-24 (6 days ago): renew it",
                duration=31,
            ),
            "hooks": lambda _: _ok(40 + self._count * 37 % 90),
            "evil": lambda _: Outcome(
                status_code=500,
                headers=(("x-note", "<script>alert(2)</script>"), ("server", "evil\x1b[31m\u202e")),
                body=HOSTILE,
                duration=120,
            ),
        }
        return respond[name](left)

    def _shop(self, left: int) -> Outcome:
        if left < 41 * MINUTE:
            return Outcome(status_code=503, headers=(("server", "nginx"),), body=b"<h1>Maintenance</h1>", duration=212)
        if self._count % 17 == 0:
            return Outcome(failure=FailureKind.TIMEOUT, detail="no response within 15 s", duration=15_000)
        return _ok(60 + self._count * 53 % 240)

    def _erp(self, left: int) -> Outcome:
        if left < 45 * MINUTE:
            return Outcome(status_code=429, headers=(("retry-after", "7200"),), body=b"slow down", duration=88)
        return _ok(300 + self._count * 71 % 500)


def _ok(duration: int) -> Outcome:
    headers = (("content-type", "application/json"), ("server", "nginx"))
    return Outcome(status_code=200, headers=headers, body=b'{"ok": true}', duration=duration)


async def fill(
    service: Service, store: Store, clock: ManualClock, settings: Settings, history: int, *, hostile: bool
) -> Shop:
    """Make the history that ends now, and return what a test asks about. The clock is set back and brought here again.

    ``history``: its length in milliseconds.
    """
    end = clock.now()
    clock.advance(TICK - history)
    await service.organizations.create(ORGANIZATION, "Northwind Webshop", BY)
    await service.organizations.create(EMPTY, "Acme Outfitters", BY)
    lost = Definition(
        description="A parcel did not arrive.",
        schema={"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        example={"id": "prc_1"},
        subject_pointer="/id",
    )
    await service.event_types.create("parcel.lost", lost, BY)
    await service.organizations.create_key(ORGANIZATION, "shop backend", ("events:publish",), None, BY)
    made = [
        await service.webhooks.create(ORGANIZATION, {"secret": SECRET, **fields}, BY)
        for fields in (
            {"event_code": "order.created", "endpoint": "https://shop.northwind.example/hooks/orders",
             "description": "The shop's order intake", "headers": {"x-api-key": HEADER_VALUE}},
            {"event_code": "order.shipped", "endpoint": "https://erp.contoso.example/packhook"},
            {"event_code": "order.canceled", "endpoint": "https://api.fabrikam.example/v2/webhooks"},
            {"event_code": "order.created", "endpoint": "https://hooks.adventure-works.example/in"},
            {"event_code": "order.canceled", "endpoint": "https://evil.example/<script>?a=%22onload%3D" if hostile else "https://evil.example/in",
             "description": "<b>not bold</b>"},
        )
    ]  # fmt: skip
    webhooks = {webhook.endpoint.partition("://")[2].partition(".")[0]: webhook for webhook in made}
    transport = ScriptedTransport(clock, end, always_well=() if hostile else ("api", "evil"))
    orders = order_events(7)
    last: dict[str, str] = {}
    number = 0
    while clock.now() <= end:
        busy = (1 if hostile else 4) + (number % 24) // 5
        some = [raw_event(code, msgspec.json.encode(order)) for code, order in islice(orders, busy)]
        receipts = await service.publisher.publish(ORGANIZATION, some)
        number += 1
        last["event"] = receipts[-1].id
        last["order"] = str(msgspec.json.decode(some[-1][1])["id"])
        last["reference"] = str(msgspec.json.decode(some[-1][1])["reference"])
        clock.advance(SECOND)
        with capture_logs():  # hundreds of attempts fail, as they should
            sent = await _send_due(store, transport, clock, settings)
        last |= {delivery.webhook_id: delivery.id for delivery in sent}
        clock.advance(TICK - SECOND)
    clock.advance(end - clock.now())
    await service.webhooks.update(ORGANIZATION, webhooks["api"].id, {"enabled": False}, BY)
    missed = ReplayQuery(
        organization_id=ORGANIZATION, webhook_id=webhooks["hooks"].id, selection=Selection.DELIVERED, since=end - DAY
    )
    replay = await service.replays.create(missed, BY)
    return Shop(
        failing=webhooks["shop"],
        held=webhooks["erp"],
        disabled=webhooks["api"],
        well=webhooks["hooks"],
        hostile=webhooks["evil"],
        failed_delivery=last[webhooks["shop"].id],
        hostile_delivery=last[webhooks["evil"].id],
        replay=replay.id,
        event=last["event"],
        order=last["order"],
        reference=last["reference"],
    )


def raw_event(code: str, data: bytes) -> RawEvent:
    """Return an event to publish, with what it is about."""
    return RawEvent(code, data, read_value(BUILT_IN.types[code])(msgspec.json.decode(data)))


async def _send_due(
    store: Store, transport: ScriptedTransport, clock: ManualClock, settings: Settings
) -> tuple[LeasedDelivery, ...]:
    """Attempt everything that is due now, once."""
    now = clock.now()
    capacity = Capacity(lease=now, lease_until=now + MINUTE, slots=500, max_bytes=2**24, excluded=())
    claimed = (await store.claim(ClaimRequest(now=now, capacity=capacity, per_lane=500))).deliveries
    states = await store.webhook_states({delivery.webhook_id for delivery in claimed})
    prepared = {webhook_id: prepare(state, settings) for webhook_id, state in states.items()}
    results = [
        await attempt(delivery, prepared[delivery.webhook_id], states[delivery.webhook_id].gone_since, transport, clock)
        for delivery in claimed
    ]
    if results:
        await store.record(results)
    return claimed
