"""Decide what a replay takes, which changes of its state are allowed, and when it is driven next.

A replay makes deliveries again. The events that it takes are fixed when it is created: they are read from one snapshot,
newest first, and stored in chunks.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from packhook.core.clock import MINUTE, SECOND
from packhook.core.errors import Conflict, FieldError, InvalidInput
from packhook.core.event_patterns import any_covers
from packhook.core.model import FINISHED, DeliveryStatus, Event
from packhook.core.subscription import Subscription, matches, may_match

EVENTS_OF_A_CHUNK: Final = 20
"""How many events a row holds that are still to be queued."""

MAX_WAITING: Final = 500
"""A replay queues no more while its webhook has so many replayed deliveries due or in flight."""

WAITING_WITHIN: Final = MINUTE
"""What is claimable within this time counts as waiting: it is due, leased to a node, or soon retried."""

MAX_UNFINISHED: Final = 10
"""How many running and paused replays an organization may have."""

MAX_SUBJECTS: Final = 500_000
"""How many subjects ``latest_only`` can tell apart, in memory."""

STALLED_WAIT: Final = SECOND // 2
MAX_STALLED_WAIT: Final = MINUTE


class Selection(StrEnum):
    """Name which events a replay takes: by what became of their delivery to its webhook."""

    FAILED = "failed"  # exhausted or canceled
    MISSING = "missing"  # never had a delivery, and the webhook would get them now
    DELIVERED = "delivered"
    ALL = "all"  # whatever is finished, and what is missing


class ReplayStatus(StrEnum):
    """Name the state of a replay. ``canceled`` and ``finished`` are final."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELED = "canceled"
    FINISHED = "finished"


UNFINISHED: Final = frozenset({ReplayStatus.RUNNING, ReplayStatus.PAUSED})
_ALLOWED_BEFORE: Final = {
    ReplayStatus.PAUSED: frozenset({ReplayStatus.RUNNING}),
    ReplayStatus.RUNNING: frozenset({ReplayStatus.PAUSED}),
    ReplayStatus.CANCELED: UNFINISHED,
}
_SELECTED: Final = {
    Selection.FAILED: frozenset({DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELED}),
    Selection.DELIVERED: frozenset({DeliveryStatus.DELIVERED}),
    Selection.MISSING: frozenset[DeliveryStatus](),
    Selection.ALL: FINISHED,
}


class ReplayQuery(Struct, frozen=True, kw_only=True):
    """Select the events of a replay. ``since`` (inclusive) and ``until`` (exclusive) are about their publication.

    No event code, and no subject: any. An event code may be a pattern.
    """

    organization_id: str
    webhook_id: str
    selection: Selection
    since: int
    until: int | None = None
    event_codes: tuple[str, ...] = ()
    subject: str = ""
    latest_only: bool = False


class Replay(Struct, frozen=True, kw_only=True):
    """Describe a replay and its progress, in events.

    ``matched`` is fixed. ``queued`` of them had their turn, and of these ``delivered`` and ``failed`` are finished.
    ``failed`` also counts events that were past retention, or erased, before their turn. ``created_by`` is an API
    key's id, or ``operator``.
    """

    id: str
    organization_id: str
    webhook_id: str
    selection: Selection
    since: int
    until: int | None
    event_codes: tuple[str, ...]
    subject: str
    latest_only: bool
    status: ReplayStatus
    matched: int
    queued: int
    delivered: int
    failed: int
    created_at: int
    finished_at: int | None
    created_by: str


class Candidate(Struct, frozen=True):
    """Describe an event that a replay may take, and its delivery to the webhook (None: there is none).

    ``position`` orders the candidates of one scan.
    """

    position: str
    event_id: str
    event_code: str
    created_at: int
    subject: str
    status: DeliveryStatus | None
    is_erased: bool = False


class MatchedEvent(Struct, frozen=True):
    """Identify an event that a replay takes, and when it was published."""

    id: str
    created_at: int


class MatchedSlice(Struct, frozen=True):
    """Hold what a replay takes of one slice of candidates, newest first.

    ``back_to`` is when the oldest of them was published; None after the last slice.
    """

    events: tuple[MatchedEvent, ...]
    back_to: int | None


class Selector:
    """Choose the events of one replay from candidates that come newest first.

    Where the webhook has a filter, each slice of candidates goes through :meth:`unread` and :meth:`judge` before.
    """

    def __init__(self, query: ReplayQuery, subscription: Subscription) -> None:
        self._query = query
        self._subscription = subscription
        self._statuses = _SELECTED[query.selection]
        self._takes_missing = query.selection in (Selection.MISSING, Selection.ALL)
        self._subjects: set[str] = set()
        self._filtered: set[str] = set()

    def unread(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return the ids of the events on whose data it depends whether the replay takes them: see :meth:`judge`."""
        if not self._subscription.filter:
            return []
        return [
            found.event_id
            for found in candidates
            if found.status is None and self._is_in_range(found) and self._is_selected(found)
        ]

    def judge(self, event: Event) -> None:
        """Match an event with the filter, before :meth:`choose`."""
        if not matches(self._subscription, event).matches:
            self._filtered.add(event.id)

    def choose(self, candidates: Sequence[Candidate]) -> tuple[MatchedEvent, ...]:
        """Return those that the replay takes. Raises InvalidInput where there are too many subjects to tell apart."""
        chosen = tuple([MatchedEvent(found.event_id, found.created_at) for found in candidates if self._takes(found)])
        self._filtered.clear()
        return chosen

    def _takes(self, candidate: Candidate) -> bool:
        return (
            self._is_in_range(candidate)
            and self._is_selected(candidate)
            and candidate.event_id not in self._filtered
            and not (self._query.latest_only and self._has_newer(candidate.subject))
        )

    def _is_in_range(self, candidate: Candidate) -> bool:
        query = self._query
        return (
            candidate.created_at >= query.since
            and not candidate.is_erased
            and (query.until is None or candidate.created_at < query.until)
            and (not query.event_codes or any_covers(query.event_codes, candidate.event_code))
            and (not query.subject or candidate.subject == query.subject)
        )

    def _is_selected(self, candidate: Candidate) -> bool:
        """Return whether the replay takes the event, whatever its data."""
        if candidate.status is not None:
            return candidate.status in self._statuses
        return self._takes_missing and may_match(self._subscription, candidate.event_code)

    def _has_newer(self, subject: str) -> bool:
        """Return whether an event of this subject was chosen before. Events without a subject stand for themselves."""
        if not subject:
            return False
        if subject in self._subjects:
            return True
        if len(self._subjects) >= MAX_SUBJECTS:
            text = f"the range has more than {MAX_SUBJECTS} subjects: replay a shorter one"
            raise InvalidInput([FieldError("/latest_only", "too_many_subjects", text)])
        self._subjects.add(subject)
        return False


def require_change(replay: Replay, status: ReplayStatus) -> None:
    """Raise Conflict unless a replay may get this status."""
    if replay.status not in _ALLOWED_BEFORE[status]:
        raise Conflict(f"the replay is {replay.status.value}")


class NextStep(Struct, frozen=True):
    """Say when a replay is driven next (None: not again, or not before it is resumed).

    ``stalled_steps`` is the number of steps in a row that got nowhere.
    """

    at: int | None
    stalled_steps: int = 0


NO_STEP: Final = NextStep(None)


def next_step(
    before: Replay, after: Replay, stalled_steps: int, now: int, *, has_events: bool, has_deliveries: bool
) -> NextStep:
    """Return the next step: at once if this one got the replay on, otherwise after a wait that doubles, up to a minute.

    ``has_events``: some had no turn yet. ``has_deliveries``: some are not finished.
    """
    needs_events = has_events and after.status is not ReplayStatus.PAUSED
    if not (needs_events or has_deliveries):
        return NO_STEP
    if _progress(before) != _progress(after):
        return NextStep(now)
    wait = min(MAX_STALLED_WAIT, STALLED_WAIT << min(stalled_steps, 10))
    return NextStep(now + wait, stalled_steps + 1)


def _progress(replay: Replay) -> tuple[int, int, int]:
    return replay.queued, replay.delivered, replay.failed
