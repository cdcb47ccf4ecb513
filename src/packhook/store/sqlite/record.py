"""Outcomes into the database: attempts, new states, and what they mean for the webhook."""

from collections.abc import Sequence
from itertools import compress

import apsw

from packhook.core.model import DeliveryStatus, Settlement, Trouble, Urgency
from packhook.store import rows
from packhook.store.sqlite.asking import SQL, first
from packhook.store.sqlite.webhooks import disable_webhook


def record(db: apsw.Connection, batches: Sequence[Sequence[Settlement]]) -> list[list[bool]]:
    """Several batches in one transaction; see Store.record."""
    settled = [[_settle(db, settlement) for settlement in batch] for batch in batches]
    valid = [settlement for batch, kept in zip(batches, settled, strict=True) for settlement in compress(batch, kept)]
    db.executemany(
        SQL["insert_attempt"],
        (rows.attempt_values(settlement.delivery.id, settlement.attempt) for settlement in valid),
    )
    _note_health(db, valid)
    for settlement in valid:
        if settlement.verdict.status is not DeliveryStatus.DELIVERED:
            _put_off(db, settlement)
    return settled


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
