"""Define what is asked about events that were given up, and what is promised; a part of ``base.Store``.

::

    outbox ─ fan out ─ the schema or the database refuses one ─▶ refused, with a reason ─ retry ─▶ outbox, in its place
                                                                   └─ discard, or retention ─▶ gone

They are events of ``packhook.publish()`` in SQL, and operational events: whatever has its deliveries made later.
"""

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

    from packhook.core.audit import AuditEntry
    from packhook.store.base import Page, PageRequest

MAX_REASON: Final = 1_000


class RefusedEvent(Struct, frozen=True, kw_only=True):
    """Describe an event that has no deliveries, because making them was given up at ``refused_at``, and why."""

    id: str
    organization_id: str
    event_code: str
    created_at: int
    refused_at: int
    reason: str


class RefusedEventFilter(Struct, frozen=True, kw_only=True):
    """Select events that were given up; None is any. ``refused_until`` is the last instant of that."""

    organization_id: str | None = None
    refused_until: int | None = None


class RefusedEventStore(Protocol):
    """List events that were given up, and decide about them: part of a Store, whose promises hold here too."""

    async def list(self, page: "PageRequest", where: RefusedEventFilter) -> "Page[RefusedEvent]":
        """Return a page of events that were given up, newest first, of deleted organizations too."""
        ...

    async def retry(self, organization_id: str, event_id: str, entry: "AuditEntry") -> RefusedEvent:
        """Let a node make the deliveries of an event at once, in its old place; return it as it was.

        What is still refused is given up again. Raises NotFound where no such event of the organization is given up.
        """
        ...

    async def retry_many(self, events: "Collection[RefusedEvent]", entries: "Collection[AuditEntry]") -> int:
        """Do the same for events of any organizations, in one transaction; return how many were still given up.

        The entries belong to the events, in their order; those of events that were not given up are not written.
        """
        ...

    async def discard(self, organization_id: str, event_id: str, entry: "AuditEntry") -> None:
        """Forget that deliveries of an event were to be made; the event stays, without any. Raises NotFound."""
        ...


class WithRefusedEvents(Protocol):
    """Hold the events that were given up, as a part of the Store."""

    @property
    def refused_events(self) -> RefusedEventStore:
        """Return the part that knows events that were given up."""
        ...


def not_refused(event_id: str) -> str:
    """Return what NotFound says of an event that is not given up, or not the organization's."""
    return f"no refused event {event_id!r}"
