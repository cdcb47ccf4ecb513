"""All operations, connected to one store and one probe of endpoints."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.fairness import FairShare
from packhook.core.health import LaneReport
from packhook.delivery.probe import EndpointProbe
from packhook.service.authentication import Access
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.erasure import Erasure
from packhook.service.event_types import EventTypes
from packhook.service.feed import Feed
from packhook.service.health import HealthReports
from packhook.service.history import History
from packhook.service.idempotency import RepeatableRequest
from packhook.service.master_keys import MasterKeys
from packhook.service.matching import Matching
from packhook.service.metrics import Metrics
from packhook.service.organizations import Organizations
from packhook.service.portal import Portal
from packhook.service.publish import Publisher
from packhook.service.refused_events import RefusedEvents
from packhook.service.replays import Replays
from packhook.service.retries import Retries
from packhook.service.search import Search
from packhook.service.secret_rotation import SecretRotation
from packhook.service.sessions import Sessions, SignInLink
from packhook.service.statistics import Statistics
from packhook.service.status import StatusReports
from packhook.service.tail import Tail
from packhook.service.test_events import TestEvents
from packhook.service.timeline import Timeline
from packhook.service.webhooks import Webhooks
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.encryption.store import EncryptedStore

if TYPE_CHECKING:
    from packhook.telemetry.tracing import Tracing

MAX_CONCURRENT_PROBES: Final = 64
"""How many test events and requested verifications run at once."""


class Service:
    """Hold one object for each group of operations. ``bodies`` counts the bytes of request bodies in memory.

    ``is_draining``: the node is about to stop, so it is not ready, and each response ends its connection.
    ``tracing`` is None where it is off.
    """

    def __init__(
        self,
        store: Store,
        probe: EndpointProbe,
        is_healthy: Callable[[], bool],
        lane_report: Callable[[str], LaneReport | None],
        settings: Settings,
        clock: Clock,
        encrypted: EncryptedStore | None = None,
    ) -> None:
        """Build the operations. ``is_healthy`` returns True while due deliveries are being claimed.

        ``lane_report`` returns what this node has learned about a webhook's endpoint.

        ``encrypted`` is the encrypting store within ``store``; without it there are no master keys to rotate.
        """
        self.clock = clock
        self.is_draining = False
        self.tracing: Tracing | None = None
        self._store = store
        self._is_healthy = is_healthy
        self.bodies = FairShare(
            settings.max_buffered_body_bytes, "too many bytes of requests are being received; try again"
        )
        self.access = Access(store, settings, clock)
        self.sessions = Sessions(store, self.access, clock)
        self.sign_in_link = SignInLink(clock)
        self.portal = Portal(store, self.access, clock)
        self.organizations = Organizations(store, clock, self.access)
        self.master_keys = MasterKeys(encrypted, clock)
        self.event_types = EventTypes(store, clock)
        probes = FairShare(MAX_CONCURRENT_PROBES, "too many test events and verifications are running; try again")
        self.verification = EndpointVerification(store, probe, probes, settings, clock)
        self.secret_rotation = SecretRotation(store, probe, self.verification, settings, clock)
        self.webhooks = Webhooks(store, settings, clock, self.verification)
        self.tail = Tail(lambda: self.event_types.catalogue)
        self.publisher = Publisher(store, settings, clock, self.tail.rows)
        self.history = History(store, settings, self.verification)
        self.feed = Feed(store)
        self.retries = Retries(store, clock)
        self.erasure = Erasure(store, clock)
        self.refused_events = RefusedEvents(store, clock)
        self.replays = Replays(store, clock)
        self.statistics = Statistics(store, clock)
        self.timeline = Timeline(store, self.history, settings, clock)
        self.metrics = Metrics(store, self.publisher, clock)
        self.search = Search(store)
        self.matching = Matching(store, clock)
        self.health = HealthReports(store, settings, clock, lane_report)
        self.status = StatusReports(store.overview, self.metrics, self.health, settings, clock)
        self.test_events = TestEvents(store, probe, probes, clock, self.verification)

    def repeatable(self, organization_id: str, key: str, secret: str) -> RepeatableRequest:
        """Return a request with an ``Idempotency-Key``, of an organization or ("") the instance; see the class."""
        return RepeatableRequest(self._store, self.clock, organization_id, key, secret)

    async def ready(self) -> None:
        """Raise Unavailable unless the database has the right schema, deliveries are being sent, and it is to go on."""
        if self.is_draining:
            raise Unavailable("the node is stopping")
        await self._store.ping()
        if not self._is_healthy():
            raise Unavailable("deliveries are not being sent")

    async def flush(self) -> None:
        """Store what is stored only now and then, and let the other nodes know how this one is."""
        self.status.report(is_draining=self.is_draining)
        await self.access.flush()

    async def close(self) -> None:
        """Stop background work."""
        self.feed.stop()
        self.tail.stop()
        await self.metrics.close()
        await self.verification.close()
