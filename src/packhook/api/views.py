"""Nouns as the wire shows them: times as text, secrets masked, bytes made readable. Plain dicts, ready to encode."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from packhook.core import client_certificate
from packhook.core.audit import OPERATOR, AuditEntry
from packhook.core.clock import SECOND, to_rfc3339
from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.model import ApiKey, Attempt, Delivery, Event, Health, Interruption, Organization, Webhook
from packhook.core.signatures.standard import mask
from packhook.service.authentication import Principal
from packhook.service.history import DeliveryStory
from packhook.settings import to_duration

View = dict[str, Any]

UNKNOWN_OUTCOME: Final = (
    "packhook had this attempt in hand when it was interrupted: the request may have been made, and its outcome is "
    "unknown; it is sent again, under the same number"
)


def webhook(webhook: Webhook, who: Principal, health: Health | None, *, is_held: bool) -> View:
    """The seven documented fields, then our own where they are set; ``health`` of one that fails."""
    own = {
        "description": webhook.description,
        "headers": dict.fromkeys(webhook.headers, "***"),
        "rate_limit": webhook.rate_limit,
        "timeout_seconds": webhook.timeout / SECOND,
        "retry_schedule": [to_duration(wait) for wait in webhook.retry_schedule],
        "disabled_reason": webhook.disabled_reason,
        "failing_since": None if health is None else _instant(health.failing_since),
        "disables_at": None if health is None else _instant(health.disables_at),
        "client_certificate": webhook.client_certificate and _certificate(webhook.client_certificate),
        "verified_at": _instant(webhook.verified_at),
        "allowed_rate": webhook.allowed_rate,
        "held_reason": AWAITING_VERIFICATION if is_held else "",
    }
    return {
        "id": webhook.id,
        "event_code": webhook.event_code,
        "endpoint": webhook.endpoint,
        "secret": webhook.secret if who.may("webhooks:write") else mask(webhook.secret),
        "enabled": webhook.enabled,
        "created_at": to_rfc3339(webhook.created_at),
        "updated_at": to_rfc3339(webhook.updated_at),
        **{name: value for name, value in own.items() if value},
    }


def _certificate(chain: str) -> View:
    known = client_certificate.facts(chain)
    return {
        "subject": known.subject,
        "issuer": known.issuer,
        "expires_at": to_rfc3339(known.expires_at),
        "sha256": known.sha256,
    }


def organization(organization: Organization) -> View:
    """An organization."""
    return {"id": organization.id, "name": organization.name, "created_at": to_rfc3339(organization.created_at)}


def api_key(key: ApiKey) -> View:
    """A key, without its text."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "prefix": key.prefix,
        "created_at": to_rfc3339(key.created_at),
        "expires_at": _instant(key.expires_at),
        "last_used_at": _instant(key.last_used_at),
    }


def event(event: Event) -> View:
    """An event, its data byte for byte."""
    return {
        "id": event.id,
        "event_code": event.event_code,
        "organization_id": event.organization_id,
        "data": msgspec.Raw(event.data),
        "created_at": to_rfc3339(event.created_at),
    }


def event_story(found: Event, deliveries: Sequence[Delivery]) -> View:
    """An event with its deliveries."""
    return {**event(found), "deliveries": [delivery(each) for each in deliveries]}


def delivery(delivery: Delivery) -> View:
    """A delivery, without its attempts."""
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "webhook_id": delivery.webhook_id,
        "event_code": delivery.event_code,
        "status": delivery.status.value,
        "attempt_count": delivery.attempt_count,
        "next_attempt_at": _instant(delivery.next_attempt_at),
        "created_at": to_rfc3339(delivery.created_at),
        "updated_at": to_rfc3339(delivery.updated_at),
    }


def delivery_story(story: DeliveryStory) -> View:
    """A delivery with its attempts and the times still to come."""
    return {
        **delivery(story.delivery),
        **({"held_reason": story.held_reason} if story.held_reason else {}),
        "schedule": [to_rfc3339(instant) for instant in story.schedule],
        "attempts": [attempt(each) for each in story.attempts],
        "interruptions": [interruption(each) for each in story.interruptions],
    }


def interruption(interruption: Interruption) -> View:
    """An attempt of which nobody knows the outcome, in words."""
    return {
        "attempt": interruption.number,
        "noticed_at": to_rfc3339(interruption.noticed_at),
        "message": UNKNOWN_OUTCOME,
    }


def audit_entry(entry: AuditEntry, who: Principal) -> View:
    """An entry of the audit trail; where the operator sits is no tenant's business."""
    hidden = entry.by.name == OPERATOR and not who.is_operator
    return {
        "id": entry.id,
        "created_at": to_rfc3339(entry.created_at),
        "organization_id": entry.organization_id or None,
        "action": entry.action.value,
        "object_kind": entry.action.kind,
        "object_id": entry.object_id,
        "changes": entry.changes,
        "reason": entry.reason or None,
        "actor": entry.by.name,
        "key_prefix": entry.by.key_prefix or None,
        "source": None if hidden else entry.by.source,
        "request_id": entry.by.request_id or None,
        "user_agent": None if hidden else entry.by.user_agent or None,
    }


def attempt(attempt: Attempt) -> View:
    """An attempt; what of the answer is not UTF-8 is shown as replacement characters."""
    return {
        "number": attempt.number,
        "started_at": to_rfc3339(attempt.started_at),
        "duration_ms": attempt.duration,
        "url": attempt.url,
        "request_headers": Raw(attempt.request_headers.encode()),
        "status_code": attempt.status_code,
        "response_headers": [list(pair) for pair in attempt.response_headers],
        "response_body": attempt.response_body.decode("utf-8", "replace"),
        "error": {"code": attempt.error_code, "message": attempt.error_message} if attempt.error_code else None,
    }


def _instant(instant: int | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
