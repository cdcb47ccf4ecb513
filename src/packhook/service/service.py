"""All that a user can ask for, wired to one store and one engine."""

from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.delivery.engine import Engine
from packhook.service.authentication import Access
from packhook.service.endpoint_verification import Ownership
from packhook.service.history import History
from packhook.service.master_keys import MasterKeys
from packhook.service.organizations import Organizations
from packhook.service.publish import Publisher
from packhook.service.replay import Replay
from packhook.service.test_events import TestEvents
from packhook.service.webhooks import Webhooks
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.encryption.store import EncryptedStore


class Service:
    """One attribute for each thing to ask for."""

    def __init__(
        self, store: Store, engine: Engine, settings: Settings, clock: Clock, sealed: EncryptedStore | None = None
    ) -> None:
        """``sealed`` is the store that seals, within ``store``; without it there are no master keys to rotate."""
        self.clock = clock
        self._store = store
        self._engine = engine
        self.access = Access(store, settings, clock)
        self.organizations = Organizations(store, clock, self.access)
        self.master_keys = MasterKeys(sealed, clock)
        self.ownership = Ownership(store, engine, settings, clock)
        self.webhooks = Webhooks(store, settings, clock, self.ownership)
        self.publisher = Publisher(store, settings, clock)
        self.history = History(store, settings, self.ownership)
        self.replay = Replay(store, clock)
        self.test_events = TestEvents(store, engine, clock, self.ownership)

    async def ready(self) -> None:
        """Unavailable unless the database has the right schema and deliveries are being sent."""
        await self._store.ping()
        if not self._engine.moving():
            raise Unavailable("the engine does not move")

    async def flush(self) -> None:
        """Write what is written only now and then."""
        await self.access.flush()

    async def close(self) -> None:
        """End what goes on in the background."""
        await self.ownership.close()
