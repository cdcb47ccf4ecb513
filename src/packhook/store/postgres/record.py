"""Record outcomes, a few statements a batch: attempts and their counts, new states, health and holds of webhooks."""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, Final

from packhook.core.model import AttemptResult, DeliveryStatus, FailureKind, Urgency
from packhook.core.operational_events import clipped_cause
from packhook.core.statistics import classify
from packhook.store import rows
from packhook.store.postgres.health import record_last_failures
from packhook.store.postgres.operational_events import report_recorded
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.webhooks import disable_webhooks

_COLUMNS: Final = 6 + len(rows.ATTEMPTS.columns) + 2
"""A delivery's columns, an attempt's, and how it counts."""


class SuccessBatch:
    """Record outcomes that all are successes, in one statement; see Store.record.

    None of them settles where an operational event is to be written with them: that takes :func:`record`.
    """

    def __init__(self, results: Sequence[AttemptResult], node: str) -> None:
        self._results = results
        self._node = node

    async def write(self, db: Db) -> list[bool]:
        """Return which settled. Raises CommitOutcomeUnknown."""
        webhook_ids = sorted({result.delivery.webhook_id for result in self._results})
        values = *_values(self._results), self._node, True, webhook_ids
        found = await db.execute_autocommit(SQL["settle_delivery"], *values)
        return _settled(self._results, found)

    async def recover(self, db: Db) -> list[bool] | None:
        """Return which settled, for a write with an unknown outcome: their attempts are stored. None: nothing was."""
        wanted = [(result.delivery.id, result.attempt.number, result.attempt.started_at) for result in self._results]
        found = set(map(tuple, await db.fetch_all(SQL["find_attempts"], *to_arrays(wanted, 3))))
        stored = [result.delivery for result in self._results if (result.delivery.id, result.attempt.number) in found]
        return _settled(self._results, [(delivery.id, delivery.lease) for delivery in stored]) if stored else None


def are_successes(results: Sequence[AttemptResult]) -> bool:
    """Return whether there is something to record, and all of it was delivered."""
    return bool(results) and all(result.verdict.status is DeliveryStatus.DELIVERED for result in results)


async def record(db: Db, results: Sequence[AttemptResult], node: str) -> tuple[list[bool], frozenset[str]]:
    """See Store.record; return which settled, and the ids of the webhooks that are to be disabled.

    Rows are locked in one order, by kind and then by id: deliveries, counts, webhooks, their health, their last
    failures, lanes.
    """
    settled = await _settle(db, results, node)
    valid = list(compress(results, settled))
    disabled = await _disable(db, valid)
    await _record_health(db, valid)
    await record_last_failures(db, valid)
    await _reschedule(db, valid)
    await report_recorded(db, valid, disabled)
    return settled, disabled


async def _settle(db: Db, results: Sequence[AttemptResult], node: str) -> list[bool]:
    """Return which leases were still their delivery's; those deliveries have their new states."""
    if not results:
        return []
    return _settled(results, await db.fetch_all(SQL["settle_delivery"], *_values(results), node, False, []))


def _values(results: Sequence[AttemptResult]) -> tuple[list[Any], ...]:
    first = {(result.delivery.id, result.delivery.lease): result for result in reversed(results)}
    return to_arrays([_row(first[key]) for key in sorted(first)], _COLUMNS)


def _settled(results: Sequence[AttemptResult], found: Iterable[Sequence[Any]]) -> list[bool]:
    """Return which results are among the rows; the same delivery twice settles once."""
    left = {(row[0], row[1]) for row in found}
    settled = []
    for result in results:
        key = result.delivery.id, result.delivery.lease
        settled.append(key in left)
        left.discard(key)
    return settled


def _row(result: AttemptResult) -> tuple[Any, ...]:
    delivery, verdict = result.delivery, result.verdict
    return (
        delivery.organization_id,
        delivery.id,
        delivery.lease,
        verdict.status.value,
        verdict.next_attempt_at,
        max(delivery.urgency, Urgency.RETRY),
        *rows.attempt_values(result.attempt),
        *classify(result.attempt),
    )


async def _disable(db: Db, results: Sequence[AttemptResult]) -> frozenset[str]:
    """Disable webhooks, and return which were enabled; of several reasons the first counts."""
    reasons: dict[str, tuple[str, int]] = {}
    for result in results:
        if result.verdict.disable_reason:
            ended_at = result.attempt.started_at + result.attempt.duration
            reasons.setdefault(result.delivery.webhook_id, (result.verdict.disable_reason, ended_at))
    if not reasons:
        return frozenset()
    return await disable_webhooks(db, [(webhook_id, *reasons[webhook_id]) for webhook_id in sorted(reasons)])


async def _record_health(db: Db, results: Sequence[AttemptResult]) -> None:
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
    if delivered:
        await db.fetch_all(SQL["clear_health"], sorted(delivered))
    if failing:
        failures = [_failure(webhook_id, failed) for webhook_id, failed in sorted(failing.items())]
        await db.fetch_all(SQL["record_failure"], *to_arrays(failures, 6))


def _failure(webhook_id: str, results: Sequence[AttemptResult]) -> tuple[Any, ...]:
    """Return the health of a webhook after these failures: whether it is gone, and why, is what the last one says."""
    started = [result.attempt.started_at for result in results]
    last = results[-1]
    return webhook_id, last.verdict.gone_since, started[0], max(started), len(started), clipped_cause(last.attempt)


async def _reschedule(db: Db, results: Sequence[AttemptResult]) -> None:
    """Write what failures mean for the lanes: when something is due again, and until when nothing may be sent."""
    due: dict[tuple[str, str], int] = {}
    held: dict[tuple[str, str], int] = {}
    for result in results:
        lane = result.delivery.webhook_id, result.delivery.organization_id
        due_at, hold_until = result.verdict.next_attempt_at, result.verdict.hold_until
        if due_at is not None:
            due[lane] = min(due_at, due.get(lane, due_at))
        if hold_until is not None:
            held[lane] = max(hold_until, held.get(lane, hold_until))
    if due:
        await db.fetch_all(SQL["lower_lane_due_at"], *to_arrays([(*lane, at) for lane, at in due.items()], 3))
    if held:
        await db.fetch_all(SQL["hold_lane"], *to_arrays([(*lane, at) for lane, at in sorted(held.items())], 3))
