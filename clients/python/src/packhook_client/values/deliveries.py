"""Deliveries and their attempts; replays."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Hold the delivery of one event to one webhook. ``organization_id`` is set in lists of all organizations."""

    id: str
    event_id: str
    webhook_id: str
    event_code: str
    status: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    organization_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptError:
    """Say why an attempt failed: a stable code, and a message for the receiver's owner."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Hold one HTTP request and its response. ``error`` None: it succeeded."""

    number: int
    started_at: datetime
    duration_ms: int
    url: str
    request_headers: dict[str, str]
    status_code: int | None
    response_headers: tuple[tuple[str, str], ...]
    response_body: str = field(repr=False)
    error: AttemptError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """Hold an attempt that may have been made and whose outcome is unknown."""

    attempt: int
    noticed_at: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail(Delivery):
    """Hold a delivery with its attempts, and the times of the next ones if every one fails."""

    schedule: tuple[datetime, ...]
    attempts: tuple[Attempt, ...]
    interruptions: tuple[Interruption, ...] = ()
    held_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Hold a replay and its progress, in events."""

    id: str
    webhook_id: str
    select: str
    since: datetime
    until: datetime | None
    event_codes: tuple[str, ...]
    subject: str | None
    latest_only: bool
    status: str
    matched: int
    queued: int
    delivered: int
    failed: int
    created_at: datetime
    finished_at: datetime | None
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPreview:
    """Hold what a replay would take. ``sample`` has the ids of the first events."""

    matched: int
    oldest: datetime | None
    newest: datetime | None
    sample: tuple[str, ...]
