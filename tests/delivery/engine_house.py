"""What the engine's tests are built from: nouns with sensible values, and a house: one node without its API.

    async with house(tmp_path) as node, Receiver() as receiver:
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        story = await node.becomes(event_id, DELIVERED)

Store, sender, engine and service are the real ones. Between the engine and its store stands a :class:`WatchedStore`: it
remembers what the engine asked, wakes who waits for that, and can play a database that is away.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import hypothesis

from nouns import replaced
from packhook.core import ids
from packhook.core.audit import Actor
from packhook.core.clock import MINUTE, Clock, SystemClock
from packhook.core.errors import Conflict, Unavailable
from packhook.core.model import (
    AttemptResult,
    Delivery,
    DeliveryStatus,
    LeasedDelivery,
    Receipt,
    Urgency,
    Webhook,
    WebhookState,
)
from packhook.delivery.engine import Engine
from packhook.delivery.send import Wire
from packhook.delivery.target import PreparedWebhook, prepare
from packhook.service.history import DeliveryStory
from packhook.service.service import Service
from packhook.service.webhooks import WebhookFields
from packhook.settings import Settings
from packhook.store.base import ClaimRequest, ClaimResult, Store
from packhook.store.callbacks import ended
from packhook.store.dispatcher import Dispatcher
from packhook.store.open import open_store
from packhook.testing import ManualClock, Status
from packhook.testing.clock import START
from packhook.testing.wire import Wire as ReceiverWire
from sending import LOOPBACK, sending

T = TypeVar("T")

ACME: Final = "acme"
BY: Final = Actor(name="operator", source="192.0.2.7")
OTHER: Final = "other"
CODE: Final = "order.created"
SECRET: Final = "q9NhjkjV9o"
DATA: Final = b'{"id":"ord_1"}'
PATIENCE: Final = 15.0
PENDING, SENDING, DELIVERED, EXHAUSTED, CANCELED = DeliveryStatus

unhurried: Final = hypothesis.settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
_serial: Final = itertools.count(1)


def settings(**changes: Any) -> Settings:  # noqa: ANN401 a field has its own type
    """Settings of a node that may send to loopback, retries soon, and ends at once."""
    plain = {"egress_allow": LOOPBACK, "allow_http": True, "retry_schedule": "50ms,50ms,50ms", "shutdown_grace": "0s"}
    return Settings(**{**plain, **changes})


def webhook(**changes: Any) -> Webhook:  # noqa: ANN401 as above
    """An enabled webhook for ``order.created``."""
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
    """A webhook made ready, on an instance with this schedule."""
    return prepare(WebhookState(webhook=webhook(**changes)), settings(retry_schedule=schedule))


def leased(**changes: Any) -> LeasedDelivery:  # noqa: ANN401 as above
    """A delivery in a node's hands, before its first attempt."""
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
    """A receiver's behaviour: no answer until the test opens the gate, then this one."""

    answer: Status = field(default_factory=Status)
    early: bool = field(default=False, init=False)
    _opened: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def open(self) -> None:
        """Answer all that wait, and whoever comes."""
        self._opened.set()

    async def write(self, wire: ReceiverWire) -> None:
        """Wait for the gate, or for the sender to go."""
        gone = asyncio.ensure_future(wire.gone())
        opened = asyncio.ensure_future(self._opened.wait())
        await asyncio.wait((gone, opened), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        opened.cancel()
        await wire.write(self.answer.rendered)


class WatchedStore:
    """The store as the engine sees it, watched. Questions whose names are in ``away`` find no database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._happened = asyncio.Event()
        self._begun = 0
        self.claims: list[ClaimResult] = []
        self.settled: list[AttemptResult] = []
        self.lost: list[AttemptResult] = []
        self.released: list[LeasedDelivery] = []
        self.away: set[str] = set()
        self.refused: list[str] = []
        self.dispatcher: Dispatcher | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 whatever the store has
        return getattr(self._store, name)

    def attach(self, dispatcher: Dispatcher) -> None:
        """As ever; remembered, so that a test can give a hint."""
        self.dispatcher = dispatcher
        self._store.attach(dispatcher)

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        """As ever, and remembered."""
        self._ask("claim")
        self._begun += 1
        claimed = await self._store.claim(claim)
        self.claims.append(claimed)
        return self._tell(claimed)

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """As ever, and remembered."""
        self._ask("record")
        kept = await self._store.record(results)
        for result, was_kept in zip(results, kept, strict=True):
            (self.settled if was_kept else self.lost).append(result)
        return self._tell(kept)

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, cut_off: Collection[str] = frozenset()
    ) -> None:
        """As ever, and remembered."""
        self._ask("release")
        await self._store.release(deliveries, now, cut_off)
        self.released += deliveries
        self._tell(None)

    async def webhook_states(self, webhook_ids: Sequence[str]) -> dict[str, WebhookState]:
        """As ever."""
        self._ask("webhook_states")
        return await self._store.webhook_states(webhook_ids)

    async def disable_failing(self, **asked: Any) -> tuple[str, ...]:  # noqa: ANN401 as above
        """As ever."""
        self._ask("disable_failing")
        return await self._store.disable_failing(**asked)

    async def look(self, now: int) -> ClaimResult:
        """What a claim gets that begins after this; the engine is given a hint to make one."""
        number = self._begun
        assert self.dispatcher is not None
        self.dispatcher.notify_due((), now)
        await self.until(lambda: len(self.claims) > number)
        return self.claims[number]

    async def until(self, pleased: Callable[[], bool]) -> None:
        """Wait until what was asked of the store pleases; TimeoutError if it never does."""
        async with asyncio.timeout(PATIENCE):
            while not pleased():
                self._happened.clear()
                await self._happened.wait()

    def _ask(self, question: str) -> None:
        if question in self.away:
            self.refused.append(question)
            self._tell(None)
            raise Unavailable("the database is away")

    def _tell(self, answer: T) -> T:
        self._happened.set()
        return answer


class House:
    """A node without its API, and how a test asks for things; everything is ACME's unless another is named."""

    def __init__(self, store: WatchedStore, wire: Wire, known: Settings, clock: Clock) -> None:
        self.store = store
        self.settings = known
        self.clock = clock
        self.engine = Engine(cast("Store", store), wire, known, clock)
        self.service = Service(cast("Store", store), self.engine, known, clock)

    async def organization(self, organization_id: str) -> None:
        """An organization, if it is not there yet."""
        with suppress(Conflict):
            await self.service.organizations.create(organization_id, organization_id, BY)

    async def webhook(self, endpoint: str, organization_id: str = ACME, **fields: Any) -> Webhook:  # noqa: ANN401 as above
        """Subscribe an endpoint."""
        said = WebhookFields(**{"event_code": CODE, "endpoint": endpoint, "secret": SECRET, **fields})
        return await self.service.webhooks.create(organization_id, said, BY)

    async def change(self, changed: Webhook, **fields: Any) -> Webhook:  # noqa: ANN401 as above
        """Change a webhook in part."""
        return await self.service.webhooks.update(changed.organization_id, changed.id, WebhookFields(**fields), BY)

    async def publish(self, count: int = 1, organization_id: str = ACME, code: str = CODE) -> list[str]:
        """Publish so many events at once; their ids."""
        publisher = self.service.publisher
        receipts: tuple[Receipt, ...] = await ended(
            lambda told: publisher.publish(organization_id, [(code, DATA)] * count, told)
        )
        return [receipt.id for receipt in receipts]

    async def deliveries(self, event_id: str, organization_id: str = ACME) -> tuple[Delivery, ...]:
        """The deliveries of an event."""
        return (await self.service.history.event(organization_id, event_id))[1]

    async def story(self, event_id: str, organization_id: str = ACME) -> DeliveryStory:
        """The only delivery of an event, whole."""
        (delivery,) = await self.deliveries(event_id, organization_id)
        return await self.service.history.delivery(organization_id, delivery.id)

    async def becomes(self, event_id: str, status: DeliveryStatus, attempts: int | None = None) -> DeliveryStory:
        """The story of an event's only delivery, once it has this status, and so many attempts where that is said."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = len(self.store.settled), len(self.store.released), len(self.store.claims)
                story = await self.story(event_id)
                if story.delivery.status is status and attempts in {None, len(story.attempts)}:
                    return story
                await self.store.until(lambda seen=seen: seen != self._so_far())  # type: ignore[misc] # of this round

    def _so_far(self) -> tuple[int, int, int]:
        return len(self.store.settled), len(self.store.released), len(self.store.claims)

    async def leap(self, milliseconds: int) -> ClaimResult:
        """Move the test's clock on, and let the engine look at what is due; answers what it claimed."""
        assert isinstance(self.clock, ManualClock)
        return await self.store.look(self.clock.advance(milliseconds))


def untouched(wire: Wire) -> Wire:
    """The wire as it is."""
    return wire


@asynccontextmanager
async def house(
    folder: Path,
    *,
    clock: Clock | None = None,
    wire_seam: Callable[[Wire], Wire] = untouched,
    **changes: Any,  # noqa: ANN401 as above
) -> AsyncIterator[House]:
    """A node that runs, on the database in this folder, which outlives it; told to stop at the end."""
    async with standing(folder, clock=clock, wire_seam=wire_seam, **changes) as node:
        running = asyncio.create_task(node.engine.run())
        try:
            yield node
        finally:
            node.engine.stop()
            await running


@asynccontextmanager
async def standing(
    folder: Path,
    *,
    clock: Clock | None = None,
    wire_seam: Callable[[Wire], Wire] = untouched,
    **changes: Any,  # noqa: ANN401 as above
) -> AsyncIterator[House]:
    """A node whose engine does not run: the test runs it, or parts of it."""
    known = settings(database=f"sqlite:///{folder / 'packhook.db'}", **changes)
    clock = clock or SystemClock()
    store = open_store(known, clock)
    await store.open()
    try:
        async with sending() as sender:
            node = House(WatchedStore(store), wire_seam(sender), known, clock)
            for organization_id in (ACME, OTHER):
                await node.organization(organization_id)
            try:
                yield node
            finally:
                await node.service.close()
    finally:
        await store.close()
