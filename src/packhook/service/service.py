"""All operations, connected to one store and one engine."""

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.delivery.engine import Engine
from packhook.service.authentication import Access
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.history import History
from packhook.service.master_keys import MasterKeys
from packhook.service.organizations import Organizations
from packhook.service.publish import Publisher
from packhook.service.replay import Replay
from packhook.service.test_events import TestEvents
from packhook.service.webhooks import Webhooks
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.encryption.store import SealedStore


class Service:
    """Hold one object for each group of operations."""

    def __init__(
        self, store: Store, engine: Engine, settings: Settings, clock: Clock, sealed: SealedStore | None = None
    ) -> None:
        """Connect the operations. ``sealed`` is the encrypting layer of ``store``; None: master keys cannot rotate."""
        self.clock = clock
        self._store = store
        self._engine = engine
        self.access = Access(store, settings, clock)
        self.organizations = Organizations(store, clock, self.access)
        self.master_keys = MasterKeys(sealed, clock)
        self.verification = EndpointVerification(store, engine, settings, clock)
        self.webhooks = Webhooks(store, settings, clock, self.verification)
        self.publisher = Publisher(store, settings, clock)
        self.history = History(store, settings, self.verification)
        self.replay = Replay(store, clock)
        self.test_events = TestEvents(store, engine, clock, self.verification)

    async def ready(self) -> None:
        """Raise Unavailable unless the database has the right schema and deliveries are being sent."""
        await self._store.ping()
        if not self._engine.moving():
            raise Unavailable("deliveries are not being sent")

    async def flush(self) -> None:
        """Store what is stored only now and then."""
        await self.access.flush()

    async def close(self) -> None:
        """Stop background work."""
        await self.verification.close()
