"""Events that were given up: list them, let them be tried again, or discard them."""

from typing import Final

from msgspec import Struct

from packhook.core.audit import Action, Actor, AuditEntry, entry
from packhook.core.clock import Clock
from packhook.service.pagination import Listing, listing
from packhook.store.base import PageRequest, Store
from packhook.store.refused_events import RefusedEvent, RefusedEventFilter

LIST_NAME = "refused-events"
MAX_RETRIED: Final = 1_000
"""How many events one call retries."""
SLICE: Final = 100


class Retried(Struct, frozen=True, kw_only=True):
    """Count events that were tried again, of those given up until an instant; ``has_more``: others are left."""

    retried: int
    has_more: bool
    refused_until: int


class RefusedEvents:
    """Show what could not be fanned out, and decide about it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list_all(self, page: PageRequest, where: RefusedEventFilter) -> Listing[RefusedEvent]:
        """Return a page of those of all organizations, newest first."""
        return listing(LIST_NAME, await self._store.refused_events.list(page, where))

    async def list(self, organization_id: str, page: PageRequest) -> Listing[RefusedEvent]:
        """Return a page of an organization's, newest first. Raise NotFound if there is no such organization."""
        await self._store.get_organization(organization_id)
        return await self.list_all(page, RefusedEventFilter(organization_id=organization_id))

    async def retry(self, organization_id: str, event_id: str, by: Actor) -> RefusedEvent:
        """Retry it: its deliveries are made at once. Return it as it was. Raise NotFound if it is not given up."""
        audit = self._entry(Action.EVENT_RETRIED, organization_id, event_id, by)
        return await self._store.refused_events.retry(organization_id, event_id, audit)

    async def retry_all(self, organization_id: str | None, refused_until: int | None, by: Actor) -> Retried:
        """Retry those of an organization, or of all (None), that were given up until an instant, or now.

        At most MAX_RETRIED, in slices, so that other work has its turn. Raise NotFound if there is no such
        organization.
        """
        if organization_id is not None:
            await self._store.get_organization(organization_id)
        until = self._clock.now() if refused_until is None else refused_until
        where = RefusedEventFilter(organization_id=organization_id, refused_until=until)
        page, retried, looked_at = PageRequest(limit=SLICE), 0, 0
        while True:
            found = await self._store.refused_events.list(page, where)
            entries = [self._entry(Action.EVENT_RETRIED, event.organization_id, event.id, by) for event in found.items]
            retried += await self._store.refused_events.retry_many(found.items, entries) if entries else 0
            looked_at += len(entries)
            if not found.has_next or looked_at >= MAX_RETRIED:
                return Retried(retried=retried, has_more=found.has_next, refused_until=until)
            page = PageRequest(limit=SLICE, anchor=found.items[-1].id)

    async def discard(self, organization_id: str, event_id: str, by: Actor) -> None:
        """Leave it without deliveries for good. Raise NotFound if it is not given up."""
        audit = self._entry(Action.EVENT_DISCARDED, organization_id, event_id, by)
        await self._store.refused_events.discard(organization_id, event_id, audit)

    def _entry(self, action: Action, organization_id: str, event_id: str, by: Actor) -> AuditEntry:
        return entry(action, by, self._clock.now(), organization_id=organization_id, object_id=event_id)
