"""Search: from a text that people have, an id, an order, a name or an endpoint, to what it names.

::

    text ─ the id of something? ─▶ that alone
       └─ else ─▶ orders, endpoints, organizations: slice by slice, until enough is found or the time is over
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from msgspec import Struct

from packhook.core.search import Found, FoundKind, Slice
from packhook.core.subject import MAX_LENGTH
from packhook.store.base import PageRequest, Store
from packhook.store.timeline import EventFilter

MAX_FOUND: Final = 20
MIN_PART: Final = 3
"""So many characters find the endpoints and names that contain them."""
MAX_SECONDS: Final = 0.1
"""So long the slices of one search take; one that was begun is finished."""
_KINDS: Final = {
    "evt": FoundKind.EVENT,
    "dlv": FoundKind.DELIVERY,
    "wh": FoundKind.WEBHOOK,
    "rpl": FoundKind.REPLAY,
}


class SearchResult(Struct, frozen=True, kw_only=True):
    """Hold what was found, at most MAX_FOUND, and whether there may be more."""

    found: tuple[Found, ...]
    is_partial: bool = False


class Search:
    """Find what a text names: exactly, but for names and endpoints, which may contain it."""

    def __init__(self, store: Store, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds

    async def find(self, text: str, organization_id: str | None = None) -> SearchResult:
        """Search an organization, or (None) all of them. It takes MAX_SECONDS and a slice at most."""
        if not text or len(text) > MAX_LENGTH:
            return SearchResult(found=())
        exact = await self._by_id(text, organization_id)
        if exact is not None:
            return SearchResult(found=(exact,))
        until = self._seconds() + MAX_SECONDS
        found: list[Found] = []
        async for part in self._slices(text, organization_id):
            found += part.found
            if len(found) >= MAX_FOUND or self._seconds() >= until:
                is_partial = len(found) > MAX_FOUND or part.after is not None
                return SearchResult(found=await self._with_texts(found[:MAX_FOUND]), is_partial=is_partial)
        return SearchResult(found=await self._with_texts(found))

    async def _by_id(self, text: str, organization_id: str | None) -> Found | None:
        kind = _KINDS.get(text.partition("_")[0])
        owner = None if kind is None else await self._store.dashboard.owner_of(kind, text)
        if kind is None or owner is None or organization_id not in (None, owner):
            return None
        return Found(kind=kind, organization_id=owner, name=text)

    async def _slices(self, text: str, organization_id: str | None) -> AsyncIterator[Slice]:
        asked = self._store.dashboard
        if organization_id is None:
            async for part in _walk(lambda after: asked.search_orders(text, after)):
                yield part
        else:
            yield await self._orders_of(text, organization_id)
        if len(text) < MIN_PART:
            return
        async for part in _walk(lambda after: asked.search_webhooks(text, after, organization_id)):
            yield part
        if organization_id is None:
            async for part in _walk(lambda after: asked.search_organizations(text, after)):
                yield part

    async def _orders_of(self, text: str, organization_id: str) -> Slice:
        wheres = {
            FoundKind.SUBJECT: EventFilter(subject=text),
            FoundKind.REFERENCE: EventFilter(reference=text),
        }
        found = [
            Found(kind=kind, organization_id=organization_id, name=text)
            for kind, where in wheres.items()
            if (await self._store.list_events(organization_id, PageRequest(limit=1), where)).items
        ]
        return Slice(found=tuple(found), after=None)

    async def _with_texts(self, found: list[Found]) -> tuple[Found, ...]:
        """Return what was found, with the newest event of each order in words."""
        return tuple([await self._with_text(one) for one in found])

    async def _with_text(self, one: Found) -> Found:
        where = {
            FoundKind.SUBJECT: EventFilter(subject=one.name),
            FoundKind.REFERENCE: EventFilter(reference=one.name),
        }.get(one.kind)
        if where is None:
            return one
        events = (await self._store.list_events(one.organization_id, PageRequest(limit=1), where)).items
        text = f"{events[0].event_code} of {events[0].subject}" if events else ""
        return Found(kind=one.kind, organization_id=one.organization_id, name=one.name, text=text)


async def _walk(read: Callable[[str], Awaitable[Slice]]) -> AsyncIterator[Slice]:
    """Yield the slices from the first to the last."""
    after: str | None = ""
    while after is not None:
        part = await read(after)
        yield part
        after = part.after
