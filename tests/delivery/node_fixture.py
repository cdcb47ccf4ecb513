"""Build what the tests of delivery need: values with sensible defaults, and one node without its HTTP server.

    async with local_node(tmp_path) as node, Receiver() as receiver:
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        story = await node.becomes(event_id, DELIVERED)

Store, HTTP client, scheduler and service are the real ones. A :class:`WatchedStore` in front of the store records its
calls, wakes tests that wait for them, and can behave like a database that is away.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import hypothesis

from packhook.core import ids
from packhook.core.audit import Actor
from packhook.core.clock import MINUTE, Clock, SystemClock
from packhook.core.errors import Conflict, Unavailable
from packhook.core.model import (
    AttemptResult,
    Delivery,
    DeliveryStatus,
    LeasedDelivery,
    Urgency,
    Webhook,
    WebhookState,
)
from packhook.core.overview import Figures
from packhook.core.subject import NOTHING
from packhook.delivery.attempt import PreparedWebhook, prepare
from packhook.delivery.http.client import Transport
from packhook.node import Node
from packhook.service.history import DeliveryDetail
from packhook.service.publish import RawEvent
from packhook.settings import Settings
from packhook.store.base import ClaimRequest, ClaimResult, Store
from packhook.store.dispatcher import Dispatcher
from packhook.store.open import open_store
from packhook.testing import ManualClock, Status
from packhook.testing.clock import START
from packhook.testing.wire import Wire as ReceiverWire
from support.http_client import LOOPBACK, sending
from support.values import replaced

T = TypeVar("T")

ACME: Final = "acme"
BY: Final = Actor(name="operator", source="192.0.2.7")
OTHER: Final = "other"
CODE: Final = "order.created"
SECRET: Final = "q9NhjkjV9o"
DATA: Final = b'{"id":"ord_1"}'
PATIENCE: Final = 15.0
PENDING, SENDING, DELIVERED, EXHAUSTED, CANCELED = DeliveryStatus

without_deadline: Final = hypothesis.settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
_serial: Final = itertools.count(1)


def settings(**changes: Any) -> Settings:  # noqa: ANN401 a field has its own type
    """Return settings of a node that may send to loopback, retries soon, and stops at once."""
    plain = {"egress_allow": LOOPBACK, "allow_http": True, "retry_schedule": "50ms,50ms,50ms", "shutdown_grace": "0s"}
    return Settings(**{**plain, **changes})


def webhook(**changes: Any) -> Webhook:  # noqa: ANN401 as above
    """Return an enabled webhook for ``order.created``."""
    plain = Webhook(
        id=ids.webhook_id(),
        organization_id=ACME,
        event_code=CODE,
        endpoint="http://127.0.0.1:1/order-created",
        secret=SECRET,
        enabled=True,
        created_at=START,
        updated_at=START,
        version=1,
    )
    return replaced(plain, **changes)


def target(*, schedule: str = "5s,5m", **changes: Any) -> PreparedWebhook:  # noqa: ANN401 as above
    """Return a prepared webhook, of an instance with this schedule."""
    return prepare(WebhookState(webhook=webhook(**changes)), settings(retry_schedule=schedule))


def leased(**changes: Any) -> LeasedDelivery:  # noqa: ANN401 as above
    """Return a delivery that is leased to this node, before its first attempt."""
    plain = LeasedDelivery(
        id=f"dlv_{next(_serial)}",
        event_id="evt_1",
        webhook_id="wh_1",
        webhook_version=1,
        organization_id=ACME,
        event_code=CODE,
        event_created_at=START,
        data=DATA,
        attempt_count=0,
        attempts_before=0,
        urgency=Urgency.FIRST,
        lease=1,
        lease_until=START + MINUTE,
    )
    return replaced(plain, **changes)


@dataclass(eq=False)
class Gate:
    """Answer nothing until the test opens the gate, then this. ``peak``: the most requests that waited at one time."""

    answer: Status = field(default_factory=Status)
    early: bool = field(default=False, init=False)
    waiting: int = field(default=0, init=False)
    peak: int = field(default=0, init=False)
    _opened: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def open(self) -> None:
        """Answer all requests that wait, and all later ones."""
        self._opened.set()

    async def write(self, wire: ReceiverWire) -> None:
        """Wait for the gate, or until the sender disconnects."""
        self.waiting += 1
        self.peak = max(self.peak, self.waiting)
        gone = asyncio.ensure_future(wire.gone())
        opened = asyncio.ensure_future(self._opened.wait())
        await asyncio.wait((gone, opened), return_when=asyncio.FIRST_COMPLETED)
        self.waiting -= 1
        gone.cancel()
        opened.cancel()
        await wire.write(self.answer.rendered)


class WatchedStore:
    """Record the calls of a store. Methods whose names are in ``away`` raise Unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = asyncio.Event()
        self._claims_begun = 0
        self.claims: list[ClaimResult] = []
        self.recorded: list[AttemptResult] = []
        self.lost: list[AttemptResult] = []
        self.released: list[LeasedDelivery] = []
        self.away: set[str] = set()
        self.refused: list[str] = []
        self.dispatcher: Dispatcher | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 any attribute of the store
        return getattr(self._store, name)

    def attach(self, dispatcher: Dispatcher) -> None:
        """Attach, and keep the dispatcher, so that a test can give hints."""
        self.dispatcher = dispatcher
        self._store.attach(dispatcher)

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        """Claim, and record the result."""
        self._on_call("claim")
        self._claims_begun += 1
        claimed = await self._store.claim(claim)
        self.claims.append(claimed)
        return self._notify(claimed)

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Record results, and keep which of them were accepted."""
        self._on_call("record")
        kept = await self._store.record(results)
        for result, was_kept in zip(results, kept, strict=True):
            (self.recorded if was_kept else self.lost).append(result)
        return self._notify(kept)

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str] = frozenset()
    ) -> None:
        """Release, and keep what was released."""
        self._on_call("release")
        await self._store.release(deliveries, now, maybe_sent)
        self.released += deliveries
        self._notify(None)

    async def webhook_states(self, webhook_ids: Sequence[str]) -> dict[str, WebhookState]:
        """Pass the call on."""
        self._on_call("webhook_states")
        return await self._store.webhook_states(webhook_ids)

    async def disable_failing(self, **asked: Any) -> tuple[str, ...]:  # noqa: ANN401 as above
        """Pass the call on."""
        self._on_call("disable_failing")
        return await self._store.disable_failing(**asked)

    @property
    def overview(self) -> "WatchedStore":
        """Return this: it watches that part of the store, too."""
        return self

    async def figures(self, now: int) -> Figures:
        """Pass the call on."""
        self._on_call("figures")
        return await self._store.overview.figures(now)

    async def claim_once(self, now: int) -> ClaimResult:
        """Return the result of a claim that begins after this; a hint starts one."""
        number = self._claims_begun
        assert self.dispatcher is not None
        self.dispatcher.notify_due((), now)
        await self.until(lambda: len(self.claims) > number)
        return self.claims[number]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the recorded calls holds; TimeoutError if it never does."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _on_call(self, method: str) -> None:
        if method in self.away:
            self.refused.append(method)
            self._notify(None)
            raise Unavailable("the database is away")

    def _notify(self, answer: T) -> T:
        self._changed.set()
        return answer


class LocalNode:
    """Run a node without its HTTP server. Everything belongs to ACME unless another organization is named."""

    def __init__(self, store: WatchedStore, wire: Transport, known: Settings, clock: Clock) -> None:
        self.store = store
        self.settings = known
        self.clock = clock
        self._node = Node(cast("Store", store), wire, known, clock)
        self.service = self._node.service

    async def run(self) -> None:
        """Deliver until ``stop``."""
        await self._node.run()

    def stop(self) -> None:
        """Begin to stop."""
        self._node.stop()

    async def organization(self, organization_id: str) -> None:
        """Create an organization unless it exists."""
        with suppress(Conflict):
            await self.service.organizations.create(organization_id, organization_id, BY)

    async def webhook(self, endpoint: str, organization_id: str = ACME, **fields: Any) -> Webhook:  # noqa: ANN401 as above
        """Create a webhook."""
        said = {"event_code": CODE, "endpoint": endpoint, "secret": SECRET, **fields}
        return await self.service.webhooks.create(organization_id, said, BY)

    async def change(self, changed: Webhook, **fields: Any) -> Webhook:  # noqa: ANN401 as above
        """Change a webhook in part."""
        return await self.service.webhooks.update(changed.organization_id, changed.id, fields, BY)

    async def publish(self, count: int = 1, organization_id: str = ACME, code: str = CODE) -> list[str]:
        """Publish so many events in one call; return their ids."""
        receipts = await self.service.publisher.publish(organization_id, [RawEvent(code, DATA, NOTHING)] * count)
        return [receipt.id for receipt in receipts]

    async def deliveries(self, event_id: str, organization_id: str = ACME) -> tuple[Delivery, ...]:
        """Return the deliveries of an event."""
        return (await self.service.history.event(organization_id, event_id))[1]

    async def detail(self, event_id: str, organization_id: str = ACME) -> DeliveryDetail:
        """Return the only delivery of an event, with its attempts."""
        (delivery,) = await self.deliveries(event_id, organization_id)
        return await self.service.history.delivery(organization_id, delivery.id)

    async def becomes(self, event_id: str, status: DeliveryStatus, attempts: int | None = None) -> DeliveryDetail:
        """Wait until an event's only delivery has this status, and so many attempts if given; return it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = len(self.store.recorded), len(self.store.released), len(self.store.claims)
                detail = await self.detail(event_id)
                if detail.delivery.status is status and attempts in {None, len(detail.attempts)}:
                    return detail
                await self.store.until(lambda seen=seen: seen != self._progress())  # type: ignore[misc] # of this round

    def _progress(self) -> tuple[int, int, int]:
        return len(self.store.recorded), len(self.store.released), len(self.store.claims)

    async def advance(self, milliseconds: int) -> ClaimResult:
        """Advance the test's clock and claim what is due; return the result."""
        assert isinstance(self.clock, ManualClock)
        return await self.store.claim_once(self.clock.advance(milliseconds))


def unchanged(wire: Transport) -> Transport:
    """Return the client as it is."""
    return wire


@asynccontextmanager
async def local_node(
    folder: Path,
    *,
    clock: Clock | None = None,
    wire_seam: Callable[[Transport], Transport] = unchanged,
    **changes: Any,  # noqa: ANN401 as above
) -> AsyncIterator[LocalNode]:
    """Run a node on the database in this folder, which outlives it; stop it at the end."""
    async with idle_node(folder, clock=clock, wire_seam=wire_seam, **changes) as node:
        running = asyncio.create_task(node.run())
        try:
            yield node
        finally:
            node.stop()
            await running


@asynccontextmanager
async def idle_node(
    folder: Path,
    *,
    clock: Clock | None = None,
    wire_seam: Callable[[Transport], Transport] = unchanged,
    **changes: Any,  # noqa: ANN401 as above
) -> AsyncIterator[LocalNode]:
    """Build a node that does not run: the test runs it, or parts of it."""
    known = settings(**{"database": f"sqlite:///{folder / 'packhook.db'}", **changes})
    clock = clock or SystemClock()
    store = open_store(known, clock)
    await store.open()
    try:
        async with sending() as sender:
            node = LocalNode(WatchedStore(store), wire_seam(sender), known, clock)
            for organization_id in (ACME, OTHER):
                await node.organization(organization_id)
            try:
                yield node
            finally:
                await node.service.close()
    finally:
        await store.close()
