"""Define what is asked of a database about one order: its events by subject or reference, and their attempts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from packhook.core.model import AttemptSummary, Event, Interruption

if TYPE_CHECKING:
    from packhook.store.base import Page, PageRequest

MAX_EVENTS_OF_SUBJECT: Final = 1_000


class EventFilter(Struct, frozen=True, kw_only=True):
    """Select the events to list; None is any. A field is equal to the column of its name.

    ``reference`` is equal to any of the three. ``since`` (inclusive) and ``until`` (exclusive) are about
    ``created_at``.
    """

    event_code: str | None = None
    subject: str | None = None
    reference: str | None = None
    since: int | None = None
    until: int | None = None


ANY_EVENT: Final = EventFilter()


class AttemptLog(Struct, frozen=True):
    """Hold what is known of the attempts of some deliveries; an interruption comes with its delivery's id."""

    attempts: tuple[AttemptSummary, ...]
    interruptions: tuple[tuple[str, Interruption], ...]


class TimelineStore(Protocol):
    """See :class:`packhook.store.base.Store` for what holds for every method."""

    async def list_events(
        self, organization_id: str, page: "PageRequest", where: EventFilter = ANY_EVENT
    ) -> "Page[Event]":
        """Return a page of events, newest first. The cost does not depend on how many others there are."""
        ...

    async def subjects_of(self, organization_id: str, reference: str) -> tuple[str, ...]:
        """Return the subjects of the newest ``MAX_EVENTS_OF_SUBJECT`` events that have this reference, in order."""
        ...

    async def summarize_attempts(self, organization_id: str, delivery_ids: Sequence[str], limit: int) -> AttemptLog:
        """Return what is known of the attempts of these deliveries, if they are the organization's, in no order.

        At most ``limit`` attempts, and as many interruptions.
        """
        ...
