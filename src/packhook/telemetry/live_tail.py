"""Show what happens on this node to its viewers: events as they are published, attempts as they are recorded.

::

    publish, record ─ is there a viewer? ─▶ row ─▶ the queue of each viewer that it matches ─▶ a page

With no viewer it costs one look at an empty set. A viewer's queue is bounded: a slow one loses its oldest rows,
which are counted, and costs the node nothing else. Nothing is stored.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from packhook.core.event_patterns import any_covers
from packhook.core.model import (
    Attempt,
    AttemptResult,
    AttemptSummary,
    Delivery,
    DeliveryStatus,
    Event,
    LeasedDelivery,
)

MAX_ROWS: Final = 200
"""How many rows wait for one viewer."""
MAX_MESSAGE: Final = 300


class RowKind(StrEnum):
    """Name what a row tells."""

    EVENT = "event"
    ATTEMPT = "attempt"


class TailRow(Struct, frozen=True, kw_only=True):
    """Describe an event that was published, or an attempt that was recorded, with the state that it led to."""

    kind: RowKind
    at: int
    organization_id: str
    event_code: str
    event_id: str
    subject: str = ""
    delivery_id: str = ""
    webhook_id: str = ""
    status: DeliveryStatus | None = None
    number: int = 0
    duration: int = 0
    url: str = ""
    status_code: int | None = None
    error_code: str = ""
    error_message: str = ""


class TailFilter(Struct, frozen=True, kw_only=True):
    """Select rows; None, "" and () are any. ``event_codes`` may be patterns."""

    organization_id: str | None = None
    kind: RowKind | None = None
    event_codes: tuple[str, ...] = ()
    webhook_id: str = ""
    subject: str = ""
    failed: bool = False

    def takes(self, row: TailRow) -> bool:
        """Tell whether a viewer with this filter sees a row."""
        return (
            (self.organization_id is None or row.organization_id == self.organization_id)
            and (self.kind is None or row.kind is self.kind)
            and (not self.event_codes or any_covers(self.event_codes, row.event_code))
            and (not self.webhook_id or row.webhook_id == self.webhook_id)
            and (not self.subject or row.subject == self.subject)
            and (not self.failed or bool(row.error_code))
        )


class Viewer:
    """Hold the rows that wait for one viewer; ``dropped`` counts those that it was too slow for."""

    def __init__(self, where: TailFilter) -> None:
        self._where = where
        self._rows: deque[TailRow] = deque(maxlen=MAX_ROWS)
        self._dropped = 0
        self._arrived = asyncio.Event()

    def offer(self, row: TailRow) -> None:
        """Queue a row if it matches. Never blocks."""
        if self._where.takes(row):
            self._dropped += len(self._rows) == MAX_ROWS
            self._rows.append(row)
            self._arrived.set()

    def wake(self) -> None:
        """End the wait of :meth:`take`."""
        self._arrived.set()

    async def take(self, seconds: float) -> tuple[tuple[TailRow, ...], int]:
        """Return the rows that wait, oldest first, and how many were lost before them; wait so long for the first."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            pass
        found, dropped = tuple(self._rows), self._dropped
        self._rows.clear()
        self._dropped = 0
        self._arrived.clear()
        return found, dropped


def event_row(event: Event) -> TailRow:
    """Return the row of an event."""
    return TailRow(
        kind=RowKind.EVENT,
        at=event.created_at,
        organization_id=event.organization_id,
        event_code=event.event_code,
        event_id=event.id,
        subject=event.subject,
    )


def attempt_row(
    delivery: Delivery | LeasedDelivery, made: Attempt | AttemptSummary, status: DeliveryStatus, subject: str
) -> TailRow:
    """Return the row of an attempt; ``status`` is the delivery's after it."""
    return TailRow(
        kind=RowKind.ATTEMPT,
        at=made.started_at + made.duration,
        organization_id=delivery.organization_id,
        event_code=delivery.event_code,
        event_id=delivery.event_id,
        subject=subject,
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        status=status,
        number=made.number,
        duration=made.duration,
        url=made.url,
        status_code=made.status_code,
        error_code=made.error_code,
        error_message=made.error_message[:MAX_MESSAGE],
    )


class LiveTail:
    """Pass rows to viewers. Callers look at ``viewers`` first, and do nothing while it is empty."""

    def __init__(self, subject_of: Callable[[str, bytes], str] = lambda _code, _data: "") -> None:
        """Hold no viewer. ``subject_of`` returns the subject of an event by its code and data."""
        self.viewers: Final[set[Viewer]] = set()
        self._subject_of = subject_of

    def published(self, events: Sequence[Event]) -> None:
        """Show events that are durable."""
        for event in events:
            self._offer(event_row(event))

    def recorded(self, results: Sequence[AttemptResult]) -> None:
        """Show attempts that are durable."""
        for result in results:
            delivery = result.delivery
            subject = self._subject_of(delivery.event_code, delivery.data)
            self._offer(attempt_row(delivery, result.attempt, result.verdict.status, subject))

    def _offer(self, row: TailRow) -> None:
        for viewer in self.viewers:
            viewer.offer(row)
