"""Implement the FeedStore on PostgreSQL: reads, and the poller that wakes readers while the store is open."""

from collections.abc import Collection
from contextlib import AbstractContextManager

from packhook.core.errors import Unavailable
from packhook.store.feed import FeedPage, FeedPosition, FeedRequest, FeedWatch
from packhook.store.postgres import feed
from packhook.store.postgres.notifications import Notifier
from packhook.store.postgres.queries import Run, RunFor


class PostgresFeed:
    """See :class:`packhook.store.feed.FeedStore` for every promise. Readers wait while it is open."""

    def __init__(self, read: RunFor, read_hot_path: Run) -> None:
        self._read = read
        self._read_hot_path = read_hot_path
        self._notifier: Notifier | None = None
        self.poller: feed.FeedPoller | None = None

    async def open(self, notifier: Notifier) -> None:
        """Align the positions with this cluster, and begin to wake readers."""
        await self.align()
        self._notifier = notifier
        self.poller = feed.FeedPoller(self._read_hot_path, notifier.notify_reading)

    async def align(self) -> None:
        """Move later positions on where the cluster has changed since a node last looked."""
        await self._read_hot_path(feed.align)

    async def close(self) -> None:
        """Wake all readers, and stop."""
        poller, self.poller = self.poller, None
        if poller is not None:
            await poller.close()

    async def read(self, request: FeedRequest) -> FeedPage:
        """See FeedStore.read."""
        return await self._read(request.organization_id, feed.read_feed, request)

    async def end(self, organization_id: str) -> FeedPosition:
        """See FeedStore.end."""
        return await self._read(organization_id, feed.feed_end, organization_id)

    def watch(self, organization_id: str) -> AbstractContextManager[FeedWatch]:
        """See FeedStore.watch."""
        if self.poller is None:
            raise Unavailable("the store is not open")
        self.poller.hint()
        return self.poller.watches.watch(organization_id)

    def hint(self) -> None:
        """Let readers look, whatever their organization."""
        if self.poller is not None:
            self.poller.hint()

    def hint_published(self, organization_ids: Collection[str]) -> None:
        """Let readers of these organizations look, on this node and on others that have readers."""
        if self._notifier is not None:
            self._notifier.notify_published(organization_ids)
        self.hint_readers(organization_ids)

    def hint_readers(self, organization_ids: Collection[str]) -> None:
        """Let readers of these organizations look, on this node; "" stands for any."""
        if self.poller is not None and (
            "" in organization_ids or not self.poller.watches.keys().isdisjoint(organization_ids)
        ):
            self.poller.hint()
