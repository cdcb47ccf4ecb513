"""Store event types, and hold the catalogue: only this process changes it."""

from collections.abc import Callable, Sequence

import apsw
import msgspec

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.model import EventType
from packhook.store import rows
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.queries import SQL, fetch_all
from packhook.store.sqlite.writer import Writer


class SqliteEventTypes:
    """See :class:`packhook.store.event_types.EventTypeStore` for every promise."""

    def __init__(self, writer: Callable[[], Writer]) -> None:
        self._writer = writer
        self.catalogue = BUILT_IN

    def load(self, db: apsw.Connection) -> None:
        """Read the catalogue."""
        found = list(map(rows.EVENT_TYPES.read, fetch_all(db, SQL["list_event_types"], (0,))))
        self.catalogue = Catalogue(found, max([one.version for one in found], default=0))

    async def refresh(self) -> Catalogue:
        """See EventTypeStore.refresh."""
        return self.catalogue

    async def save(self, event_types: Sequence[EventType], entries: Sequence[AuditEntry], based_on: int) -> Catalogue:
        """See EventTypeStore.save."""
        saved = [msgspec.structs.replace(found, version=based_on + 1) for found in event_types]
        await self._writer().write(_save, saved, entries, based_on)
        self.catalogue = self.catalogue.changed(saved, based_on + 1)
        return self.catalogue


def _save(db: apsw.Connection, saved: Sequence[EventType], entries: Sequence[AuditEntry], based_on: int) -> None:
    ((version,),) = fetch_all(db, SQL["event_types_version"])
    if version != based_on:
        raise Conflict("the event types were changed meanwhile")
    db.executemany(SQL["save_event_type"], [tuple(rows.EVENT_TYPES.values(found)) for found in saved])
    for entry in entries:
        write_audit(db, entry)
