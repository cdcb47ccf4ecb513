"""Record outcomes: attempts and their counts, new states of deliveries, the health and holds of webhooks."""

import asyncio
from collections.abc import Sequence
from itertools import compress, islice
from typing import Any, Final

import apsw

from packhook.core.model import AttemptResult, DeliveryStatus, FailureKind, Urgency
from packhook.core.operational_events import clipped_cause
from packhook.core.statistics import NODE_PREFIX, increments
from packhook.store import rows
from packhook.store.fan_out import data_weight, slices_by_weight
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.health import record_last_failures
from packhook.store.sqlite.operational_events import report_recorded
from packhook.store.sqlite.queries import SQL, fetch_all
from packhook.store.sqlite.webhooks import disable_webhook

SLICE_WEIGHT: Final = 50
"""About how many results are recorded at once: each is up to five statements, and large ones count as more."""

ROWS_OF_A_RESULT: Final = 3
"""How many rows take as long as to record a result."""


async def record(db: Connection, batches: Sequence[Sequence[AttemptResult]]) -> list[list[bool]]:
    """Record several batches in one transaction, in slices between which others run; see Store.record."""
    results = [result for batch in batches for result in batch]
    settled: list[bool] = []
    for some in slices_by_weight(results, _weight, SLICE_WEIGHT):
        if settled:
            await asyncio.sleep(0)
        settled += _record_some(db, some)
    answers = iter(settled)
    return [list(islice(answers, len(batch))) for batch in batches]


def weigh(results: Sequence[AttemptResult]) -> int:
    """Return about how many rows take as long as to record these."""
    return ROWS_OF_A_RESULT * sum(map(_weight, results))


def _weight(result: AttemptResult) -> int:
    return data_weight(result.attempt.response_body)


def _record_some(db: Connection, results: Sequence[AttemptResult]) -> list[bool]:
    settled = _settle_all(db, results)
    valid = list(compress(results, settled))
    db.executemany(
        SQL["insert_attempt"],
        [(result.delivery.id, *rows.attempt_values(result.attempt)) for result in valid],
    )
    db.executemany(SQL["count_attempts"], increments(valid, NODE_PREFIX))
    _record_health(db, valid)
    failed = [result for result in valid if result.verdict.status is not DeliveryStatus.DELIVERED]
    if failed or fetch_all(db, SQL["has_alerts"]):  # mostly neither
        record_last_failures(db, failed)
        for result in failed:
            _reschedule(db, result)
        report_recorded(db, valid, _disable(db, failed))
    return settled


def _settle_all(db: apsw.Connection, results: Sequence[AttemptResult]) -> list[bool]:
    """Return which results were settled: all at once, or one by one where some lease was lost."""
    db.execute("SAVEPOINT settle")
    before = db.total_changes()
    db.executemany(SQL["settle_delivery"], map(_settlement, results))
    if db.total_changes() - before == len(results):
        db.execute("RELEASE settle")
        return [True] * len(results)
    db.execute("ROLLBACK TO settle")
    db.execute("RELEASE settle")
    return [_settle(db, result) for result in results]


def _settle(db: apsw.Connection, result: AttemptResult) -> bool:
    """Return whether the lease was still the delivery's; then it has its new state."""
    db.execute(SQL["settle_delivery"], _settlement(result))
    return db.changes() == 1


def _settlement(result: AttemptResult) -> tuple[Any, ...]:
    verdict, attempt, delivery = result.verdict, result.attempt, result.delivery
    return (
        verdict.status.value,
        verdict.next_attempt_at,
        max(delivery.urgency, Urgency.RETRY),
        attempt.number,
        attempt.started_at + attempt.duration,
        delivery.rowid,
        delivery.lease,
    )


def _record_health(db: apsw.Connection, results: Sequence[AttemptResult]) -> None:
    """Clear the health of webhooks that succeeded; failures after the last success in this batch count anew."""
    failing: dict[str, list[AttemptResult]] = {}
    delivered: set[str] = set()
    for result in results:
        webhook_id = result.delivery.webhook_id
        if result.verdict.status is DeliveryStatus.DELIVERED:
            delivered.add(webhook_id)
            failing.pop(webhook_id, None)
        elif result.verdict.error_code != FailureKind.INTERNAL:
            failing.setdefault(webhook_id, []).append(result)
    db.executemany(SQL["clear_health"], [(webhook_id,) for webhook_id in delivered])
    db.executemany(
        SQL["record_failure"],
        [
            (webhook_id, failed.verdict.gone_since, failed.attempt.started_at, clipped_cause(failed.attempt))
            for webhook_id, failures in failing.items()
            for failed in failures
        ],
    )


def _reschedule(db: apsw.Connection, result: AttemptResult) -> None:
    """Write what a failure means for the lane."""
    delivery, verdict = result.delivery, result.verdict
    for due_at in (verdict.next_attempt_at, verdict.hold_until):
        if due_at is not None:
            db.execute(SQL["lower_lane_due_at"], (delivery.webhook_id, delivery.organization_id, due_at))
    if verdict.hold_until is not None:
        db.execute(SQL["hold_lane"], (verdict.hold_until, delivery.webhook_id))


def _disable(db: apsw.Connection, results: Sequence[AttemptResult]) -> list[str]:
    """Disable webhooks, and return which were enabled; of several reasons the first counts."""
    return [
        result.delivery.webhook_id
        for result in results
        if (reason := result.verdict.disable_reason)
        and disable_webhook(db, result.delivery.webhook_id, reason, result.attempt.started_at + result.attempt.duration)
    ]
