"""Outcomes into the database: attempts, new states, and what they mean for the webhook."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import apsw

from packhook.core.model import DeliveryStatus, Settlement, Trouble, Urgency
from packhook.store import rows
from packhook.store.sqlite.asking import SQL
from packhook.store.sqlite.webhooks import disable_webhook


def record(db: apsw.Connection, batches: Sequence[Sequence[Settlement]]) -> list[list[bool]]:
    """Several batches in one transaction; see Store.record."""
    together = [settlement for batch in batches for settlement in batch]
    kept = {row[0] for row in db.executemany(SQL["settle_delivery"], map(_values, together, count()))}
    valid = [settlement for place, settlement in enumerate(together) if place in kept]
    db.executemany(
        SQL["insert_attempt"],
        (rows.attempt_values(settlement.delivery.id, settlement.attempt) for settlement in valid),
    )
    _note_health(db, valid)
    for settlement in valid:
        if settlement.verdict.status is not DeliveryStatus.DELIVERED:
            _put_off(db, settlement)
    places = count()
    return [[next(places) in kept for _ in batch] for batch in batches]


def _note_health(db: apsw.Connection, settlements: Sequence[Settlement]) -> None:
    """A success forgets the failures before it, those that follow it in this batch begin anew."""
    failing: dict[str, list[Settlement]] = {}
    delivered: set[str] = set()
    for settlement in settlements:
        webhook_id = settlement.delivery.webhook_id
        if settlement.verdict.status is DeliveryStatus.DELIVERED:
            delivered.add(webhook_id)
            failing.pop(webhook_id, None)
        elif settlement.verdict.error_code != Trouble.INTERNAL:
            failing.setdefault(webhook_id, []).append(settlement)
    db.executemany(SQL["forget_health"], ((webhook_id,) for webhook_id in delivered))
    db.executemany(
        SQL["note_failure"],
        (
            (webhook_id, failed.verdict.gone_since, failed.attempt.started_at)
            for webhook_id, failures in failing.items()
            for failed in failures
        ),
    )


def _values(settlement: Settlement, place: int) -> tuple[Any, ...]:
    """For settle_delivery, which answers the places of those whose lease was still the row's."""
    verdict, attempt, delivery = settlement.verdict, settlement.attempt, settlement.delivery
    return (
        verdict.status.value,
        verdict.next_attempt_at,
        max(delivery.urgency, Urgency.RETRY),
        attempt.number,
        attempt.started_at + attempt.duration,
        delivery.id,
        delivery.lease,
        place,
    )


def _put_off(db: apsw.Connection, settlement: Settlement) -> None:
    """What a failure means for the lane and for the webhook."""
    delivery, verdict, attempt = settlement.delivery, settlement.verdict, settlement.attempt
    if verdict.next_attempt_at is not None:
        db.execute(SQL["lower_lane"], (delivery.webhook_id, delivery.organization_id, verdict.next_attempt_at))
    if verdict.hold_until is not None:
        db.execute(SQL["hold_lane"], (verdict.hold_until, delivery.webhook_id))
    if verdict.disable_reason:
        ended_at = attempt.started_at + attempt.duration
        disable_webhook(db, delivery.webhook_id, verdict.disable_reason, ended_at)
