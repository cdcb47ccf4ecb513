"""Store event types, and hold the catalogue of this node.

::

    save ─ COMMIT, notification ─▶ the outbox of every node looks ─▶ another version? ─▶ load what changed
                                   (and every two seconds by itself)
"""

from collections.abc import Sequence

import msgspec

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.model import EventType
from packhook.store import rows
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.notifications import notify_event_types
from packhook.store.postgres.queries import SQL, Db, Run


class CatalogueCache:
    """Hold the catalogue as this node read it last."""

    def __init__(self) -> None:
        self.catalogue = BUILT_IN

    async def load(self, db: Db) -> Catalogue:
        """Read what changed since the last time."""
        return self.add(list(map(rows.EVENT_TYPES.read, await db.fetch_all(*self._changes()))))

    def _changes(self) -> tuple[str, int]:
        return SQL["list_event_types"], self.catalogue.version

    def add(self, changed: Sequence[EventType]) -> Catalogue:
        """Add what was read or saved, unless a later version is known by now: that one has it."""
        version = max([found.version for found in changed], default=0)
        if version > self.catalogue.version:
            self.catalogue = self.catalogue.changed(changed, version)
        return self.catalogue


class PostgresEventTypes:
    """See :class:`packhook.store.event_types.EventTypeStore` for every promise."""

    def __init__(self, node: str, read: Run, write: Run) -> None:
        self._node = node
        self._read = read
        self._write = write
        self.cache = CatalogueCache()

    @property
    def catalogue(self) -> Catalogue:
        """See EventTypeStore.catalogue."""
        return self.cache.catalogue

    async def refresh(self) -> Catalogue:
        """See EventTypeStore.refresh."""
        return await self._read(self.cache.load)

    async def save(self, event_types: Sequence[EventType], entries: Sequence[AuditEntry], based_on: int) -> Catalogue:
        """See EventTypeStore.save."""
        saved = [msgspec.structs.replace(found, version=based_on + 1) for found in event_types]
        await self._write(save, saved, entries, based_on, self._node)
        if self.cache.catalogue.version == based_on:
            return self.cache.add(saved)
        return await self.refresh()


async def save(db: Db, saved: Sequence[EventType], entries: Sequence[AuditEntry], based_on: int, node: str) -> None:
    """See EventTypeStore.save; ``node`` notifies the others."""
    await db.fetch_all(SQL["lock_event_types"])
    row = await db.fetch_one(SQL["event_types_version"])
    if row is None or row[0] != based_on:
        raise Conflict("the event types were changed meanwhile")
    for found in saved:
        await db.fetch_all(SQL["save_event_type"], *rows.EVENT_TYPES.values(found))
    for entry in entries:
        await write_audit(db, entry)
    await notify_event_types(db, node)
