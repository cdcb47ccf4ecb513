"""Outcomes into the database: attempts, new states, and what they mean for the webhook."""

from collections.abc import Sequence
from itertools import compress

import apsw

from packhook.core.model import DeliveryStatus, Settlement, Urgency
from packhook.store import rows
from packhook.store.sqlite.asking import SQL, first


def record(db: apsw.Connection, batches: Sequence[Sequence[Settlement]]) -> list[list[bool]]:
    """Several batches in one transaction; see Store.record."""
    settled = [[_settle(db, settlement) for settlement in batch] for batch in batches]
    valid = [settlement for batch, kept in zip(batches, settled, strict=True) for settlement in compress(batch, kept)]
    db.executemany(
        SQL["insert_attempt"],
        (rows.attempt_values(settlement.delivery.id, settlement.attempt) for settlement in valid),
    )
    for settlement in valid:
        if settlement.verdict.status is not DeliveryStatus.DELIVERED:
            _note_failure(db, settlement)
    delivered = {s.delivery.webhook_id for s in valid if s.verdict.status is DeliveryStatus.DELIVERED}
    db.executemany(SQL["forget_health"], ((webhook_id,) for webhook_id in delivered))
    return settled


def _settle(db: apsw.Connection, settlement: Settlement) -> bool:
    """Whether its lease was still the row's."""
    verdict, attempt, delivery = settlement.verdict, settlement.attempt, settlement.delivery
    values = (
        verdict.status.value,
        verdict.next_attempt_at,
        max(delivery.urgency, Urgency.RETRY),
        attempt.number,
        attempt.started_at + attempt.duration,
        delivery.id,
        delivery.lease,
    )
    return first(db, SQL["settle_delivery"], values) is not None


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
