"""Search: from a text that people have, an id, an order or an endpoint, to what it names."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from enum import StrEnum
from typing import Final

from msgspec import Struct

from packhook.core.errors import NotFound
from packhook.core.subject import MAX_LENGTH
from packhook.service.pagination import MAX_PER_PAGE
from packhook.store.base import PageRequest, Store, WebhookFilter
from packhook.store.timeline import EventFilter

MAX_ORGANIZATIONS: Final = 50
"""So many organizations are searched at once where none is given."""
MAX_FOUND: Final = 20
MIN_ENDPOINT: Final = 3
"""So many characters find the endpoints that contain them, among the organization's first MAX_PER_PAGE webhooks."""


class FoundKind(StrEnum):
    """Name what was found."""

    ORGANIZATION = "organization"
    WEBHOOK = "webhook"
    DELIVERY = "delivery"
    EVENT = "event"
    REPLAY = "replay"
    SUBJECT = "subject"
    REFERENCE = "reference"


class Found(Struct, frozen=True, kw_only=True):
    """Hold one thing that a text names; ``name`` is its id, or the subject or reference, ``text`` says more."""

    kind: FoundKind
    organization_id: str
    name: str
    text: str = ""


class SearchResult(Struct, frozen=True, kw_only=True):
    """Hold what was found, at most MAX_FOUND, and whether there are organizations that were not searched."""

    found: tuple[Found, ...]
    is_partial: bool = False


class Search:
    """Find what a text names: exactly, but for endpoints, which may contain it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, text: str, organization_id: str | None = None) -> SearchResult:
        """Search an organization, or (None) the first MAX_ORGANIZATIONS by id and the one that has this id."""
        if not text or len(text) > MAX_LENGTH:
            return SearchResult(found=())
        if organization_id is not None:
            return SearchResult(found=tuple([found async for found in self._within(organization_id, text)][:MAX_FOUND]))
        page = await self._store.list_organizations(PageRequest(limit=MAX_ORGANIZATIONS))
        results = [found async for found in self._organization(text)]
        for organization in page.items:
            results += [found async for found in self._within(organization.id, text)]
            if len(results) >= MAX_FOUND:
                break
        return SearchResult(found=tuple(results[:MAX_FOUND]), is_partial=page.has_next)

    async def _organization(self, text: str) -> AsyncIterator[Found]:
        with suppress(NotFound):
            found = await self._store.get_organization(text)
            yield Found(kind=FoundKind.ORGANIZATION, organization_id=found.id, name=found.id, text=found.name)

    async def _within(self, organization_id: str, text: str) -> AsyncIterator[Found]:
        read = self._by_id(organization_id, text)
        if read is not None:
            with suppress(NotFound):
                await read[1]
                yield Found(kind=read[0], organization_id=organization_id, name=text)
        for kind, where in (
            (FoundKind.SUBJECT, EventFilter(subject=text)),
            (FoundKind.REFERENCE, EventFilter(reference=text)),
        ):
            events = (await self._store.list_events(organization_id, PageRequest(limit=1), where)).items
            if events:
                newest = f"{events[0].event_code} of {events[0].subject}"
                yield Found(kind=kind, organization_id=organization_id, name=text, text=newest)
        if len(text) >= MIN_ENDPOINT:
            page = PageRequest(limit=MAX_PER_PAGE)
            for webhook in (await self._store.list_webhooks(organization_id, page, WebhookFilter())).items:
                if text.lower() in webhook.endpoint.lower():
                    yield Found(
                        kind=FoundKind.WEBHOOK, organization_id=organization_id, name=webhook.id, text=webhook.endpoint
                    )

    def _by_id(self, organization_id: str, text: str) -> tuple[FoundKind, Awaitable[object]] | None:
        """Return what has an id with this prefix, and the read that proves that it is there."""
        match text.partition("_")[0]:
            case "evt":
                return FoundKind.EVENT, self._store.get_event(organization_id, text)
            case "dlv":
                return FoundKind.DELIVERY, self._store.get_delivery(organization_id, text)
            case "wh":
                return FoundKind.WEBHOOK, self._store.get_webhook(organization_id, text)
            case "rpl":
                return FoundKind.REPLAY, self._store.replays.get(organization_id, text)
            case _:
                return None
