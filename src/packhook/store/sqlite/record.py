"""Outcomes into the database: attempts, new states, and what they mean for the webhook."""

import secrets
from collections.abc import Sequence
from itertools import compress, count, islice
from typing import Any, Final

import apsw

from packhook.core.model import AttemptResult, DeliveryStatus, FailureKind, Urgency
from packhook.store import rows
from packhook.store.sqlite.asking import SQL, first
from packhook.store.sqlite.webhooks import disable_webhook

_DELIVERED: Final = DeliveryStatus.DELIVERED
_FIRST: Final = Urgency.FIRST
_RETRY: Final = Urgency.RETRY

_marks: Final = count(secrets.randbits(61) + 1)
"""One for each settlement: put in place of the lease, and negative, so that it is neither a lease nor another's."""


def record(db: apsw.Connection, batches: Sequence[Sequence[AttemptResult]]) -> list[list[bool]]:
    """Several batches in one transaction; see Store.record."""
    together = [result for batch in batches for result in batch]
    kept = _settle(db, together)
    valid = list(compress(together, kept))
    db.executemany(
        SQL["insert_attempt"],
        (rows.attempt_values(result.delivery.id, result.attempt) for result in valid),
    )
    _note_health(db, valid)
    for result in valid:
        if result.verdict.status is not _DELIVERED:
            _put_off(db, result)
    answers = iter(kept)
    return [list(islice(answers, len(batch))) for batch in batches]


def _settle(db: apsw.Connection, results: Sequence[AttemptResult]) -> Sequence[bool]:
    """Which of them settled their delivery: all, if so many rows changed; otherwise those whose mark is on it."""
    marks = [-next(_marks) for _ in results]
    before = db.total_changes()
    db.executemany(SQL["settle_delivery"], map(_values, results, marks))
    if db.total_changes() - before == len(results):
        return [True] * len(results)
    return [
        first(db, SQL["settled_mark"], (result.delivery.place,)) == (mark,)
        for result, mark in zip(results, marks, strict=True)
    ]


def _note_health(db: apsw.Connection, results: Sequence[AttemptResult]) -> None:
    """A success forgets the failures before it, those that follow it in this batch begin anew."""
    failing: dict[str, list[AttemptResult]] = {}
    delivered: set[str] = set()
    for result in results:
        webhook_id = result.delivery.webhook_id
        if result.verdict.status is _DELIVERED:
            delivered.add(webhook_id)
            failing.pop(webhook_id, None)
        elif result.verdict.error_code != FailureKind.INTERNAL:
            failing.setdefault(webhook_id, []).append(result)
    db.executemany(SQL["forget_health"], ((webhook_id,) for webhook_id in delivered))
    db.executemany(
        SQL["note_failure"],
        (
            (webhook_id, failed.verdict.gone_since, failed.attempt.started_at)
            for webhook_id, failures in failing.items()
            for failed in failures
        ),
    )


def _values(result: AttemptResult, mark: int) -> tuple[Any, ...]:
    """For settle_delivery."""
    verdict, attempt, delivery = result.verdict, result.attempt, result.delivery
    return (
        str(verdict.status),
        verdict.next_attempt_at,
        _RETRY if delivery.urgency is _FIRST else delivery.urgency,
        attempt.number,
        attempt.started_at + attempt.duration,
        mark,
        delivery.place,
        delivery.lease,
    )


def _put_off(db: apsw.Connection, result: AttemptResult) -> None:
    """What a failure means for the lane and for the webhook."""
    delivery, verdict, attempt = result.delivery, result.verdict, result.attempt
    if verdict.next_attempt_at is not None:
        db.execute(SQL["lower_lane"], (delivery.webhook_id, delivery.organization_id, verdict.next_attempt_at))
    if verdict.hold_until is not None:
        db.execute(SQL["lower_lane"], (delivery.webhook_id, delivery.organization_id, verdict.hold_until))
        db.execute(SQL["hold_lane"], (verdict.hold_until, delivery.webhook_id))
    if verdict.disable_reason:
        ended_at = attempt.started_at + attempt.duration
        disable_webhook(db, delivery.webhook_id, verdict.disable_reason, ended_at)
