"""Describe operational events: what packhook itself publishes about webhooks, deliveries and replays. Pure.

::

    what was recorded ─▶ here: which event, with which data ─▶ store: in the same transaction ─▶ outbox ─▶ fan-out

They never lead to more of themselves. Two rules see to that: an exhausted delivery of an operational event makes none,
and ``webhook.failing`` needs a failed delivery of another event. See docs/decisions/0041-operational-events.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, structs

from packhook.core import ids
from packhook.core.clock import DAY, to_rfc3339
from packhook.core.model import Attempt, AttemptResult, DeliveryStatus, Event, EventType, FailureKind
from packhook.core.operational_data import (
    DATA_OF,
    DISABLED,
    EXHAUSTED,
    FAILING,
    RECOVERED,
    REPLAY_FINISHED,
    Cause,
    DeliveryExhausted,
    Failure,
    OperationalData,
    ReplayFinished,
    WebhookDisabled,
    WebhookFailing,
    WebhookRecovered,
)
from packhook.core.replay import Replay
from packhook.core.storable_text import replace_unstorable
from packhook.core.struct_schema import schema_of
from packhook.core.subject import read_bytes

FAILURES_BEFORE_WARNING: Final = 5
MAX_CAUSE: Final = 1_000
MAX_WARNINGS_AT_ONCE: Final = 500
"""How many second and third warnings one transaction writes; the next one writes the others."""


class WebhookFacts(Struct, frozen=True):
    """Hold what a store knows of a webhook that an operational event is about.

    ``failing_since`` and ``failed_at`` are the first and the last failure in a row, None without one. ``warnings``
    counts the events ``webhook.failing`` of this row: after five failures, at half and at nine tenths of the time after
    which the webhook is disabled.
    """

    organization_id: str
    webhook_id: str
    event_code: str
    endpoint: str
    disabled_reason: str
    failing_since: int | None
    failed_at: int | None
    failures: int
    cause: str
    warnings: int


# --- which events follow from what was recorded


def exhausted_of(results: Iterable[AttemptResult]) -> tuple[AttemptResult, ...]:
    """Return the results that lead to a ``delivery.exhausted``: those that ended a delivery of another event."""
    return tuple(
        result
        for result in results
        if result.verdict.status is DeliveryStatus.EXHAUSTED and not _is_operational(result)
    )


def exhausted_events(exhausted: Iterable[AttemptResult], subjects: Mapping[str, str]) -> tuple[Event, ...]:
    """Return the ``delivery.exhausted`` of each of :func:`exhausted_of`; ``subjects`` by the id of the event."""
    return tuple(_delivery_exhausted(result, subjects.get(result.delivery.event_id, "")) for result in exhausted)


def warned_of(results: Iterable[AttemptResult]) -> frozenset[str]:
    """Return the webhooks that these failures may lead to ``webhook.failing`` for.

    Deliveries of operational events do not count, and neither do faults of packhook itself.
    """
    return frozenset(
        result.delivery.webhook_id
        for result in results
        if result.verdict.error_code not in ("", FailureKind.INTERNAL) and not _is_operational(result)
    )


def delivered_to(results: Iterable[AttemptResult]) -> frozenset[str]:
    """Return the webhooks that succeeded."""
    return frozenset(
        result.delivery.webhook_id for result in results if result.verdict.status is DeliveryStatus.DELIVERED
    )


def clipped_cause(attempt: Attempt) -> str:
    """Return why an attempt failed, in words, at most ``MAX_CAUSE`` characters that any database can hold."""
    return replace_unstorable(attempt.error_message[:MAX_CAUSE])


def ended_at(results: Iterable[AttemptResult]) -> int:
    """Return when the last of these attempts ended; there is at least one."""
    return max(result.attempt.started_at + result.attempt.duration for result in results)


def second_and_third_warning(disable_after: int) -> tuple[int, int]:
    """Return after how long a failing webhook is warned of again: half and nine tenths of ``disable_after``."""
    return disable_after // 2, disable_after * 9 // 10


def with_copies(events: Sequence[Event], operator_organization: str) -> tuple[Event, ...]:
    """Return these events, and for each of another organization a copy of it in the operator's ("": there is none)."""
    if not operator_organization:
        return tuple(events)
    return tuple(events) + tuple(
        structs.replace(event, id=ids.event_id(), organization_id=operator_organization)
        for event in events
        if event.organization_id != operator_organization
    )


def _is_operational(result: AttemptResult) -> bool:
    return result.delivery.event_code in DATA_OF


# --- what they say


def failing_event(facts: WebhookFacts, disable_after: int, now: int) -> Event:
    """Return the warning that a webhook fails, and is disabled ``disable_after`` its first failure, in milliseconds."""
    return _event(FAILING, facts.organization_id, _failing(facts, disable_after, now), now)


def disabled_event(facts: WebhookFacts, now: int) -> Event:
    """Return the event that packhook disabled a webhook."""
    return _event(DISABLED, facts.organization_id, _disabled(facts, now), now)


def recovered_event(facts: WebhookFacts, now: int) -> Event:
    """Return the event that a webhook succeeds again; ``facts.failing_since`` is when it began to fail."""
    return _event(RECOVERED, facts.organization_id, _recovered(facts, now), now)


def replay_finished_event(replay: Replay, now: int) -> Event:
    """Return the event that a replay has finished."""
    data = ReplayFinished(
        organization_id=replay.organization_id,
        webhook_id=replay.webhook_id,
        replay_id=replay.id,
        select=replay.selection.value,
        since=to_rfc3339(replay.since),
        until=None if replay.until is None else to_rfc3339(replay.until),
        matched=replay.matched,
        delivered=replay.delivered,
        failed=replay.failed,
        finished_at=to_rfc3339(now),
        message=f"The replay has finished: of {replay.matched} events {replay.delivered} were delivered "
        f"and {replay.failed} failed.",
    )
    return _event(REPLAY_FINISHED, data.organization_id, data, now)


_API: Final = "/v1/organizations"


def _path(facts: WebhookFacts) -> str:
    return f"{_API}/{facts.organization_id}/webhooks/{facts.webhook_id}"


def _disabled(facts: WebhookFacts, now: int) -> WebhookDisabled:
    return WebhookDisabled(
        organization_id=facts.organization_id,
        webhook_id=facts.webhook_id,
        event_code=facts.event_code,
        endpoint=facts.endpoint,
        reason=facts.disabled_reason,
        disabled_at=to_rfc3339(now),
        failing_since=None if facts.failing_since is None else to_rfc3339(facts.failing_since),
        failures=facts.failures,
        last_failure=_last_failure(facts),
        message=f"packhook disabled the webhook: {facts.disabled_reason}. New events make no deliveries to it.",
        action=f'Repair the endpoint, then PUT {_path(facts)} {{"enabled": true}} enables the webhook.',
    )


def _recovered(facts: WebhookFacts, now: int) -> WebhookRecovered:
    since = to_rfc3339(now if facts.failing_since is None else facts.failing_since)
    return WebhookRecovered(
        organization_id=facts.organization_id,
        webhook_id=facts.webhook_id,
        event_code=facts.event_code,
        endpoint=facts.endpoint,
        failing_since=since,
        recovered_at=to_rfc3339(now),
        message=f"A delivery succeeded: the webhook, which had failed since {since}, works again.",
        action="Retry what was given up meanwhile: "
        f"GET {_API}/{facts.organization_id}/deliveries?webhook_id={facts.webhook_id}&status=exhausted lists it.",
    )


def _event(code: str, organization_id: str, data: OperationalData, now: int) -> Event:
    encoded = msgspec.json.encode(data)
    return Event(
        id=ids.event_id(),
        organization_id=organization_id,
        event_code=code,
        data=encoded,
        created_at=now,
        **structs.asdict(_READERS[code](encoded)),
    )


def _failing(facts: WebhookFacts, disable_after: int, now: int) -> WebhookFailing:
    since = now if facts.failing_since is None else facts.failing_since
    disables_at = to_rfc3339(since + disable_after)
    return WebhookFailing(
        organization_id=facts.organization_id,
        webhook_id=facts.webhook_id,
        event_code=facts.event_code,
        endpoint=facts.endpoint,
        warning=3 if facts.warnings > 2 else 2 if facts.warnings == 2 else 1,
        failing_since=to_rfc3339(since),
        failures=facts.failures,
        last_failure=_last_failure(facts) or Failure(at=to_rfc3339(now), message=""),
        disables_at=disables_at,
        message=f"{facts.failures} attempts in a row have failed since {to_rfc3339(since)}, "
        f"the last one: {facts.cause}.",
        action=f"Repair the endpoint and POST {_path(facts)}/test. "
        f"Unless a delivery succeeds, packhook disables the webhook, at the earliest at {disables_at}.",
    )


def _last_failure(facts: WebhookFacts) -> Failure | None:
    return None if facts.failed_at is None else Failure(at=to_rfc3339(facts.failed_at), message=facts.cause)


def _delivery_exhausted(result: AttemptResult, subject: str) -> Event:
    delivery, attempt = result.delivery, result.attempt
    at, cause = ended_at([result]), clipped_cause(attempt)
    data = DeliveryExhausted(
        organization_id=delivery.organization_id,
        webhook_id=delivery.webhook_id,
        endpoint=replace_unstorable(attempt.url),
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        event_code=delivery.event_code,
        subject=subject or None,
        attempts=attempt.number,
        cause=Cause(code=replace_unstorable(attempt.error_code), message=cause),
        exhausted_at=to_rfc3339(at),
        message=f"{delivery.event_code} was given up after {attempt.number} attempts, the last one: {cause}.",
        action=f"POST {_API}/{delivery.organization_id}/deliveries/{delivery.id}/retry sends it again.",
    )
    return _event(EXHAUSTED, delivery.organization_id, data, at)


# --- their event types

_FACTS: Final = WebhookFacts(
    organization_id="acme",
    webhook_id="wh_019103b2f6c07000800000000000abcd",
    event_code="order.created",
    endpoint="https://myapp.packcloud.local/order-created",
    disabled_reason="no delivery has succeeded for 5 days",
    failing_since=1_722_591_000_000,
    failed_at=1_722_591_305_000,
    failures=5,
    cause="answered 500 Internal Server Error: the endpoint failed: its own logs say why",
    warnings=1,
)
_NOW: Final = _FACTS.failed_at or 0
_EXAMPLES: Final[tuple[tuple[str, str, OperationalData], ...]] = (
    (
        EXHAUSTED,
        "A delivery was given up after its last attempt",
        DeliveryExhausted(
            organization_id=_FACTS.organization_id,
            webhook_id=_FACTS.webhook_id,
            endpoint=_FACTS.endpoint,
            delivery_id="dlv_019103b2f6c07000800000000000abcd",
            event_id="evt_019103b2f6c07000800000000000abcd",
            event_code=_FACTS.event_code,
            subject="ord_example_0001",
            attempts=10,
            cause=Cause(code="unsuccessful_status", message=_FACTS.cause),
            exhausted_at=to_rfc3339(_NOW),
            message=f"order.created was given up after 10 attempts, the last one: {_FACTS.cause}.",
            action="POST /v1/organizations/acme/deliveries/dlv_019103b2f6c07000800000000000abcd/retry sends it again.",
        ),
    ),
    (
        REPLAY_FINISHED,
        "A replay has finished",
        ReplayFinished(
            organization_id=_FACTS.organization_id,
            webhook_id=_FACTS.webhook_id,
            replay_id="rpl_019103b2f6c07000800000000000abcd",
            select="failed",
            since=to_rfc3339(1_722_591_000_000),
            until=to_rfc3339(_NOW),
            matched=120,
            delivered=118,
            failed=2,
            finished_at=to_rfc3339(_NOW),
            message="The replay has finished: of 120 events 118 were delivered and 2 failed.",
        ),
    ),
    (DISABLED, "packhook disabled a webhook", _disabled(_FACTS, _NOW)),
    (FAILING, "A webhook fails", _failing(_FACTS, 5 * DAY, _NOW)),
    (RECOVERED, "A webhook succeeds again", _recovered(_FACTS, _NOW)),
)
_POINTERS: Final[Mapping[str, tuple[str, ...]]] = {
    EXHAUSTED: ("/delivery_id", "/webhook_id", "/event_id"),
    REPLAY_FINISHED: ("/replay_id", "/webhook_id"),
}
OPERATIONAL_EVENTS: Final = tuple(
    EventType(
        code=code,
        description=description,
        schema=schema_of(DATA_OF[code]),
        example=msgspec.to_builtins(data),
        subject_pointer=_POINTERS.get(code, ("/webhook_id",))[0],
        reference_pointers=_POINTERS.get(code, ("/webhook_id",))[1:],
    )
    for code, description, data in _EXAMPLES
)
_READERS: Final = {event_type.code: read_bytes(event_type) for event_type in OPERATIONAL_EVENTS}
