"""Decide how a webhook is, in one state and a sentence for people. Pure: what is known comes as values.

::

    stored: webhook, failures, hold, lane ─┐
    this node: what its lane learned ──────┼─▶ diagnose ─▶ Diagnosis(state, message)
    the operator: disable_after ───────────┘

The first state that applies is the webhook's: disabled, paused, failing, held, slowed, healthy. What a lane learned is
in the memory of the node that sends, so with several nodes the one that is asked may not know that another slows down.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from packhook.core.clock import MINUTE, SECOND, to_rfc3339
from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.operational_events import FAILURES_BEFORE_WARNING

FAILURES_TO_FAIL: Final = FAILURES_BEFORE_WARNING
"""Failures in a row after which a webhook is failing: then `webhook.failing` is published, too."""
OVERDUE_AFTER: Final = 15 * SECOND
"""A webhook with something due for so long is slowed: less is sent than arrives."""
NOTHING_WRONG: Final = "Nothing is wrong with it."
RECENT: Final = MINUTE
"""For so long a lowered in-flight limit counts."""
MAX_BACKLOG: Final = 10_000
"""So many waiting deliveries are counted."""


class HealthState(StrEnum):
    """Name how a webhook is."""

    HEALTHY = "healthy"
    SLOWED = "slowed"  # sent to more slowly than deliveries become due
    HELD = "held"  # nothing is sent for a while
    PAUSED = "paused"
    FAILING = "failing"
    DISABLED = "disabled"


class LastFailure(Struct, frozen=True, kw_only=True):
    """Describe the last attempt that failed: when it ended, the error's code, and the cause in words."""

    at: int
    code: str
    message: str


class FilterErrors(Struct, frozen=True, kw_only=True):
    """Count the events for which a webhook's filter had no value, which were delivered all the same.

    ``since`` is the first of them since the filter was written; ``event_id`` and ``message`` are those of the last one.
    """

    count: int
    since: int
    last_at: int
    event_id: str
    message: str


class HealthFacts(Struct, frozen=True, kw_only=True):
    """Hold what is stored about a webhook's health.

    ``failing_since`` is the first of ``failures`` in a row, None without one. Nothing may be sent before
    ``held_until``. ``due_since`` is when its next delivery is or was due, None if nothing waits.
    """

    id: str
    organization_id: str
    event_code: str
    event_codes: tuple[str, ...]
    endpoint: str
    enabled: bool
    disabled_reason: str
    verification_pending: bool
    paused: bool
    failing_since: int | None
    failures: int
    held_until: int
    due_since: int | None
    last_failure: LastFailure | None


class LaneReport(Struct, frozen=True, kw_only=True):
    """Tell what this node's lane of a webhook has learned.

    It sends nothing before ``held_until``. ``is_probing``: one attempt at a time, after failures. ``limit_cut_at`` is
    when overload last lowered the in-flight limit, 0 if never.
    """

    held_until: int
    is_probing: bool
    limit_cut_at: int


class Backlog(Struct, frozen=True, kw_only=True):
    """Count the deliveries of a webhook that are not finished, at most MAX_BACKLOG, and tell when the next one is due.

    ``oldest_at`` is when the oldest one was created.
    """

    count: int
    has_more: bool
    oldest_at: int | None
    next_attempt_at: int | None


class Diagnosis(Struct, frozen=True, kw_only=True):
    """Hold a webhook's state, and a sentence that says why."""

    state: HealthState
    message: str


def diagnose(
    facts: HealthFacts,
    lane: LaneReport | None,
    *,
    now: int,
    disable_after: int,
    requires_verification: bool,
) -> Diagnosis:
    """Return how a webhook is. ``lane``: None if this node has sent nothing to it lately."""
    held_until = max(facts.held_until, 0 if lane is None else lane.held_until)
    if not facts.enabled:
        return Diagnosis(state=HealthState.DISABLED, message=_disabled(facts))
    if facts.paused:
        return Diagnosis(state=HealthState.PAUSED, message="Paused: deliveries wait, and are sent when it is resumed.")
    if is_failing(facts):
        return Diagnosis(state=HealthState.FAILING, message=_failing(facts, held_until, now, disable_after))
    if requires_verification and facts.verification_pending:
        return Diagnosis(state=HealthState.HELD, message=_sentence(AWAITING_VERIFICATION))
    if held_until > now:
        return Diagnosis(state=HealthState.HELD, message=_held(facts, held_until))
    slow = _slowed(facts, lane, now)
    if slow:
        return Diagnosis(state=HealthState.SLOWED, message=slow)
    return Diagnosis(state=HealthState.HEALTHY, message=_healthy(facts))


def is_failing(facts: HealthFacts) -> bool:
    """Tell whether the last attempts failed, so many in a row that it is no accident."""
    return facts.failing_since is not None and facts.failures >= FAILURES_TO_FAIL


def disables_at(failing_since: int, *, enabled: bool, disable_after: int) -> int | None:
    """Return when a failing webhook will be disabled at the earliest; None if it is disabled."""
    return failing_since + disable_after if enabled else None


def _disabled(facts: HealthFacts) -> str:
    if facts.disabled_reason:
        return f"Disabled by packhook: {facts.disabled_reason}. Events create no deliveries until it is enabled."
    return "Disabled: events create no deliveries until it is enabled."


def _failing(facts: HealthFacts, held_until: int, now: int, disable_after: int) -> str:
    since = facts.failing_since or now
    parts = [f"No delivery has succeeded since {_time(since)}, {facts.failures} attempts in a row: {_cause(facts)}."]
    if held_until > now:
        parts.append(f"Nothing is sent until {_time(held_until)}.")
    parts.append(f"packhook disables it at {_time(since + disable_after)} at the earliest, unless one succeeds.")
    return " ".join(parts)


def _held(facts: HealthFacts, held_until: int) -> str:
    return f"Nothing is sent until {_time(held_until)}, because of the last failure: {_cause(facts)}."


def _slowed(facts: HealthFacts, lane: LaneReport | None, now: int) -> str:
    if lane is not None and lane.is_probing:
        return f"One attempt at a time is made, to find out whether the endpoint is back: {_cause(facts)}."
    if lane is not None and now - lane.limit_cut_at < RECENT:
        return f"Fewer attempts are made at once, because the endpoint was overloaded: {_cause(facts)}."
    if facts.due_since is not None and now - facts.due_since >= OVERDUE_AFTER:
        return (
            f"Deliveries are due since {_time(facts.due_since)}: more become due than the endpoint, or its rate limit, "
            "takes."
        )
    return ""


def _healthy(facts: HealthFacts) -> str:
    if facts.failures:
        return f"Attempts succeed, but the last one failed: {_cause(facts)}."
    return NOTHING_WRONG


def with_filter_errors(found: Diagnosis, errors: FilterErrors | None) -> Diagnosis:
    """Return the diagnosis with a sentence about a filter that had no value for some events."""
    if errors is None:
        return found
    events = "an event" if errors.count == 1 else f"{errors.count} events"
    said = f"Its filter had no value for {events}, which it got though: {errors.message}."
    message = said if found.message == NOTHING_WRONG else f"{found.message} {said}"
    return structs.replace(found, message=message)


def _cause(facts: HealthFacts) -> str:
    return facts.last_failure.message if facts.last_failure is not None else "the cause is not known"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _time(instant: int) -> str:
    return f"{to_rfc3339(instant)[:19]}Z"
