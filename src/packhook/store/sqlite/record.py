"""Outcomes into the database: attempts, new states, and what they mean for the webhook."""

from collections.abc import Sequence

import apsw

from packhook.core.model import DeliveryStatus, Settlement, Urgency
from packhook.store import rows
from packhook.store.sqlite.asking import SQL


def record(db: apsw.Connection, batches: Sequence[Sequence[Settlement]]) -> list[list[bool]]:
    """Several batches in one transaction; see Store.record."""
    settlements = [settlement for batch in batches for settlement in batch]
    settled = _settle(db, settlements)
    valid = [settlement for settlement in settlements if settlement.delivery.id in settled]
    db.executemany(
        SQL["insert_attempt"],
        (rows.attempt_values(settlement.delivery.id, settlement.attempt) for settlement in valid),
    )
    for settlement in valid:
        if settlement.verdict.status is not DeliveryStatus.DELIVERED:
            _note_failure(db, settlement)
    delivered = {s.delivery.webhook_id for s in valid if s.verdict.status is DeliveryStatus.DELIVERED}
    db.executemany(SQL["forget_health"], ((webhook_id,) for webhook_id in delivered))
    return [[settlement.delivery.id in settled for settlement in batch] for batch in batches]


def _settle(db: apsw.Connection, settlements: Sequence[Settlement]) -> set[str]:
    found = db.executemany(
        SQL["settle_delivery"],
        (
            (
                settlement.verdict.status.value,
                settlement.verdict.next_attempt_at,
                max(settlement.delivery.urgency, Urgency.RETRY),
                settlement.attempt.number,
                settlement.attempt.started_at + settlement.attempt.duration,
                settlement.delivery.id,
                settlement.delivery.lease,
            )
            for settlement in settlements
        ),
    )
    return {row[0] for row in found}


def _note_failure(db: apsw.Connection, settlement: Settlement) -> None:
    delivery, verdict, attempt = settlement.delivery, settlement.verdict, settlement.attempt
    ended_at = attempt.started_at + attempt.duration
    db.execute(SQL["note_failure"], (delivery.webhook_id, verdict.gone_since, attempt.started_at))
    if verdict.next_attempt_at is not None:
        db.execute(SQL["lower_lane"], (delivery.webhook_id, delivery.organization_id, verdict.next_attempt_at))
    if verdict.hold_until is not None:
        db.execute(SQL["hold_lane"], (verdict.hold_until, delivery.webhook_id))
    if verdict.disable_reason:
        db.execute(SQL["disable_webhook"], (verdict.disable_reason, ended_at, delivery.webhook_id))
