"""Events, receipts, the feed and the timeline."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from packhook_client.values.deliveries import AttemptError, Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Confirm a published event, which is stored durably. ``deliveries`` counts the webhooks that get it."""

    id: str
    event_code: str
    created_at: datetime
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """Hold the receipts of a batch, in the order of its events."""

    data: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Hold an event as it was published. ``data`` is None once it was erased."""

    id: str
    event_code: str
    organization_id: str
    data: dict[str, Any] | None = field(repr=False)
    created_at: datetime
    subject: str | None = None
    references: tuple[str, ...] = ()
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail(Event):
    """Hold an event with its deliveries."""

    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Count the events that were erased, and their deliveries that were canceled."""

    subject: str
    erased: int
    canceled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """Hold an event that has no deliveries, because making them was given up."""

    id: str
    organization_id: str
    event_code: str
    created_at: datetime
    refused_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedEvents:
    """Count the refused events whose deliveries are made now. ``has_more``: repeat it, with ``refused_until``."""

    retried: int
    has_more: bool
    refused_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Hold an event as a receiver gets it. ``data`` is None once it was erased."""

    id: str
    type: str
    timestamp: datetime
    organization_id: str
    data: dict[str, Any] | None = field(repr=False)
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Hold the next events, the oldest first. Store ``cursor`` once they are handled, and go on from it."""

    data: tuple[Message, ...]
    cursor: str

    def __iter__(self) -> Iterator[Message]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """Hold one line of a timeline: ``text`` says it in words. What does not apply is None."""

    at: datetime
    kind: str
    text: str
    event_id: str | None = None
    event_code: str | None = None
    subject: str | None = None
    references: tuple[str, ...] = ()
    delivery_id: str | None = None
    webhook_id: str | None = None
    url: str | None = None
    attempt: int | None = None
    status_code: int | None = None
    duration_ms: int | None = None
    error: AttemptError | None = None
    held_reason: str | None = None
