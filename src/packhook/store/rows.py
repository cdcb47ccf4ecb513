"""Rows to nouns and back: the columns in the order in which every statement of both dialects names them."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from packhook.core.audit import Action, Actor, AuditEntry, Change
from packhook.core.model import (
    FINISHED,
    ApiKey,
    Attempt,
    Delivery,
    DeliveryStatus,
    Event,
    Interruption,
    Organization,
    Receipt,
    Webhook,
)
from packhook.store.base import AuditFilter

Row = Sequence[Any]

_headers: Final = msgspec.json.Decoder(dict[str, str])
_pairs: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_waits: Final = msgspec.json.Decoder(tuple[int, ...])
_scopes: Final = msgspec.json.Decoder(tuple[str, ...])
_changes: Final = msgspec.json.Decoder(tuple[Change, ...])
_receipts: Final = msgspec.json.Decoder(list[dict[str, Any]])
_encode: Final = msgspec.json.Encoder().encode

# Which literal condition a status filter becomes: a literal, so that a partial index can serve it.
STATUS_CONDITIONS: Final = {
    status: f"status = '{status.value}'" + (" AND status IN ('pending', 'sending')" if status not in FINISHED else "")
    for status in DeliveryStatus
}


def to_json(value: object) -> str:
    """A JSON text for a text column."""
    return _encode(value).decode()


def receipts_to_bytes(receipts: tuple[Receipt, ...]) -> bytes:
    """What a publisher was answered, to be given again."""
    return _encode(
        [
            {"id": each.id, "event_code": each.event_code, "created_at": each.created_at, "deliveries": each.deliveries}
            for each in receipts
        ]
    )


def receipts_from_bytes(data: bytes) -> tuple[Receipt, ...]:
    """The other way round."""
    return tuple([Receipt(**each) for each in _receipts.decode(data)])


def organization(row: Row) -> Organization:
    """From id, name, created_at."""
    return Organization(id=row[0], name=row[1], created_at=row[2])


def api_key(row: Row) -> ApiKey:
    """From the columns of list_api_keys."""
    return ApiKey(
        id=row[0],
        organization_id=row[1],
        name=row[2],
        scopes=_scopes.decode(row[3]),
        prefix=row[4],
        created_at=row[5],
        expires_at=row[6],
        last_used_at=row[7],
    )


def webhook(row: Row) -> Webhook:
    """From the columns of get_webhook."""
    return Webhook(
        id=row[0],
        organization_id=row[1],
        event_code=row[2],
        endpoint=row[3],
        secret=row[4],
        enabled=bool(row[5]),
        created_at=row[6],
        updated_at=row[7],
        version=row[8],
        description=row[9],
        headers=_headers.decode(row[10]),
        rate_limit=row[11],
        timeout=row[12],
        retry_schedule=_waits.decode(row[13]),
        disabled_reason=row[14],
        client_certificate=row[15],
        client_key=row[16],
        verification_pending=bool(row[17]),
        verified_at=row[18],
        allowed_rate=row[19],
    )


def webhook_values(webhook: Webhook) -> tuple[Any, ...]:
    """For the columns of insert_webhook."""
    return (
        webhook.id,
        webhook.organization_id,
        webhook.event_code,
        webhook.endpoint,
        webhook.secret,
        int(webhook.enabled),
        webhook.created_at,
        webhook.updated_at,
        webhook.version,
        webhook.description,
        to_json(webhook.headers),
        webhook.rate_limit,
        webhook.timeout,
        to_json(webhook.retry_schedule),
        webhook.disabled_reason,
        webhook.client_certificate,
        webhook.client_key,
        int(webhook.verification_pending),
        webhook.verified_at,
        webhook.allowed_rate,
    )


def event(row: Row) -> Event:
    """From the columns of get_event."""
    return Event(id=row[0], organization_id=row[1], event_code=row[2], data=row[3], created_at=row[4])


def delivery(row: Row) -> Delivery:
    """From the columns of get_delivery; only a pending delivery has a next attempt."""
    status = DeliveryStatus(row[5])
    return Delivery(
        id=row[0],
        event_id=row[1],
        webhook_id=row[2],
        organization_id=row[3],
        event_code=row[4],
        status=status,
        attempt_count=row[6],
        attempts_before=row[7],
        next_attempt_at=row[8] if status is DeliveryStatus.PENDING else None,
        created_at=row[9],
        updated_at=row[10],
    )


def attempt(row: Row) -> Attempt:
    """From the columns of delivery_attempts."""
    return Attempt(
        number=row[0],
        started_at=row[1],
        duration=row[2],
        url=row[3],
        request_headers=row[4],
        status_code=row[5],
        response_headers=_pairs.decode(row[6]),
        response_body=row[7],
        error_code=row[8],
        error_message=row[9],
    )


def interruption(row: Row) -> Interruption:
    """From the columns of delivery_interruptions."""
    return Interruption(number=row[0], noticed_at=row[1])


def attempt_values(delivery_id: str, attempt: Attempt) -> tuple[Any, ...]:
    """For the columns of insert_attempt. What a receiver wrote stays bytes or escaped JSON: it breaks no insert."""
    return (
        delivery_id,
        attempt.number,
        attempt.started_at,
        attempt.duration,
        attempt.url,
        attempt.request_headers,
        attempt.status_code,
        to_json(attempt.response_headers),
        attempt.response_body,
        attempt.error_code,
        attempt.error_message.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    )


def audit_entry(row: Row) -> AuditEntry:
    """From the columns of list_audit_entries."""
    return AuditEntry(
        id=row[0],
        created_at=row[1],
        organization_id=row[2],
        action=Action(row[3]),
        object_id=row[4],
        changes=_changes.decode(row[5]),
        reason=row[6],
        by=Actor(name=row[7], key_prefix=row[8], source=row[9], request_id=row[10], user_agent=row[11]),
    )


def audit_values(entry: AuditEntry) -> tuple[Any, ...]:
    """For the columns of insert_audit_entry."""
    return (
        entry.id,
        entry.created_at,
        entry.organization_id,
        entry.action.value,
        entry.action.kind,
        entry.object_id,
        to_json(entry.changes),
        entry.reason,
        entry.by.name,
        entry.by.key_prefix,
        entry.by.source,
        entry.by.request_id,
        entry.by.user_agent,
    )


def audit_conditions(where: AuditFilter, organization_column: str) -> tuple[list[str], dict[str, Any]]:
    """Conditions and values of a page of the trail; an object's id is narrower than its organization's."""
    own = "organization_id" if where.object_id is None else organization_column
    wanted = {
        f"{own} = :organization_id": where.organization_id,
        "object_id = :object_id": where.object_id,
        "action = :action": where.action,
        "actor = :actor": where.actor,
        "created_at >= :since": where.since,
        "created_at < :until": where.until,
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    conditions = list(given)
    if where.shown_to_keys:
        conditions.append("object_kind IN ('webhook', 'delivery')")
    return conditions, {condition.rsplit(":", 1)[1]: value for condition, value in given.items()}
