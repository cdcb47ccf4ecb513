"""Hold the connections of an open store: some write, some read, one listens."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from packhook.core.model import PublishRequest, Receipt
from packhook.store.config import StoreConfig
from packhook.store.fair_gate import FairGate
from packhook.store.fan_out import PublishOutcome
from packhook.store.postgres.connection import READ_ONLY, SETTINGS, Pool
from packhook.store.postgres.group_commit import GroupCommit
from packhook.store.postgres.liveness import NodeLiveness
from packhook.store.postgres.notifications import NotificationHandlers, Notifier
from packhook.store.postgres.outbox import Outbox
from packhook.store.postgres.writer import Writer
from packhook.telemetry.counts import StoreCounts

MAX_WRITERS: Final = 6
MAX_READERS: Final = 3
CONNECTIONS_BESIDE: Final = 2
"""One listens, and one shows that the node is alive."""
MAX_CHANGES: Final = 2
"""Of the writers, how many make changes that organizations ask for: new webhooks, retries, audit entries."""


@dataclass(frozen=True, slots=True)
class Session:
    """Hold up to ten connections of a node: reads cannot take those that publishes need.

    ``claim_lock`` lets one claim run at a time: a second one would only skip what the first has locked. ``reads`` and
    ``changes`` share out connections between organizations.
    """

    write_pool: Pool
    read_pool: Pool
    writer: Writer
    notifier: Notifier
    claim_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    reads: FairGate = field(default_factory=partial(FairGate, MAX_READERS))
    changes: FairGate = field(default_factory=partial(FairGate, MAX_CHANGES))

    @classmethod
    async def open(
        cls, url: str, node: str, handlers: NotificationHandlers, config: StoreConfig, counts: StoreCounts
    ) -> "Session":
        """Connect. Raises Unavailable where the database does not answer."""
        write_pool = await Pool.open(url, SETTINGS, MAX_WRITERS, config, counts)
        try:
            read_pool = await Pool.open(url, READ_ONLY, MAX_READERS, counts=counts)
            try:
                notifier = Notifier(url, node, handlers)
                await notifier.open()
            except BaseException:
                await read_pool.close()
                raise
        except BaseException:
            await write_pool.close()
            raise
        counts.connections = lambda: write_pool.size + read_pool.size + CONNECTIONS_BESIDE
        return cls(write_pool, read_pool, Writer(write_pool, counts), notifier)

    async def close(self) -> None:
        """Finish the pending writes, then disconnect."""
        await self.writer.close()
        await self.notifier.close()
        await self.write_pool.close()
        await self.read_pool.close()


@dataclass(frozen=True, slots=True)
class Running:
    """Hold what runs while the store is open."""

    session: Session
    liveness: NodeLiveness
    publisher: GroupCommit[PublishRequest, PublishOutcome, tuple[Receipt, ...]]
    outbox: Outbox

    async def close(self) -> None:
        """Finish what is in progress, then disconnect."""
        await self.outbox.close()
        await self.liveness.close()
        await self.session.close()
