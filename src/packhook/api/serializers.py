"""Serializers: values of ``core`` to JSON bodies. Times become text, secrets are masked, bytes become readable."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from packhook.api.responses import encode
from packhook.api.schemas.webhooks import shown_settings
from packhook.core import client_certificate
from packhook.core.audit import OPERATOR, AuditEntry
from packhook.core.clock import to_rfc3339
from packhook.core.durations import to_duration
from packhook.core.endpoint_findings import Finding, summary_of, worst
from packhook.core.health import FilterErrors
from packhook.core.model import (
    ApiKey,
    Attempt,
    AttemptSummary,
    Delivery,
    Event,
    EventType,
    Health,
    Interruption,
    Organization,
    Webhook,
)
from packhook.core.replay import Replay
from packhook.core.secret_rotation import overlap_ends_at
from packhook.core.signatures.standard import mask, message
from packhook.core.statistics import Summary
from packhook.service.authentication import Principal
from packhook.service.event_types import PlannedChange
from packhook.service.feed import FeedResult
from packhook.service.health import HealthReport, WebhookHealth
from packhook.service.history import DeliveryDetail
from packhook.service.replays import Preview
from packhook.service.statistics import Chart
from packhook.service.timeline import TimelineEntry

Body = dict[str, Any]

MAX_ATTEMPTS_BYTES: Final = 4 * 1024 * 1024
UNKNOWN_OUTCOME: Final = (
    "packhook was interrupted during this attempt: the request may have been made, and its outcome is unknown; "
    "it is sent again, under the same number"
)


def webhook(webhook: Webhook, principal: Principal, health: Health | None, now: int, held_reason: str) -> Body:
    """Serialize a webhook: the seven documented fields, then what is set. ``health`` is None unless it fails."""
    overlap_ends = overlap_ends_at(webhook, now)
    state = {
        "disabled_reason": webhook.disabled_reason,
        "failing_since": None if health is None else _instant(health.failing_since),
        "disables_at": None if health is None else _instant(health.disables_at),
        "previous_secret_expires_at": _instant(overlap_ends),
        "rotation_finish": webhook.rotation_finish if overlap_ends is not None else "",
        "client_certificate": webhook.client_certificate and _certificate(webhook.client_certificate),
        "verified_at": _instant(webhook.verified_at),
        "allowed_rate": webhook.allowed_rate,
        "held_reason": held_reason,
    }
    return {
        "id": webhook.id,
        "event_code": webhook.event_code,
        "endpoint": webhook.endpoint,
        "secret": webhook.secret if principal.may("webhooks:write") else mask(webhook.secret),
        "enabled": webhook.enabled,
        "created_at": to_rfc3339(webhook.created_at),
        "updated_at": to_rfc3339(webhook.updated_at),
        **shown_settings(webhook),
        **{name: value for name, value in state.items() if value},
    }


def _certificate(chain: str) -> Body:
    facts = client_certificate.facts(chain)
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "expires_at": to_rfc3339(facts.expires_at),
        "sha256": facts.sha256,
    }


def organization(organization: Organization) -> Body:
    """Serialize an organization."""
    kept = {} if organization.retention is None else {"retention": to_duration(organization.retention)}
    return {"id": organization.id, "name": organization.name, "created_at": to_rfc3339(organization.created_at), **kept}


def api_key(key: ApiKey) -> Body:
    """Serialize an API key, without its text."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "prefix": key.prefix,
        "created_at": to_rfc3339(key.created_at),
        "expires_at": _instant(key.expires_at),
        "last_used_at": _instant(key.last_used_at),
    }


def event(event: Event) -> Body:
    """Serialize an event, its data byte for byte."""
    return {
        "id": event.id,
        "event_code": event.event_code,
        "organization_id": event.organization_id,
        "data": Raw(event.data),
        "created_at": to_rfc3339(event.created_at),
        **_known_as(event),
        **({} if event.erased_at is None else {"erased_at": to_rfc3339(event.erased_at)}),
    }


def _known_as(event: Event) -> Body:
    """Serialize by what an event is found, without what it does not have."""
    found = {"subject": event.subject, "references": list(event.references)}
    return {name: value for name, value in found.items() if value}


def event_type(event_type: EventType) -> Body:
    """Serialize an event type of the catalogue."""
    return {
        "code": event_type.code,
        "description": event_type.description,
        "schema": event_type.schema,
        "example": event_type.example,
        "subject_pointer": event_type.subject_pointer,
        "reference_pointers": list(event_type.reference_pointers),
        "archived_at": _instant(event_type.archived_at),
        "created_at": None if event_type.is_built_in else to_rfc3339(event_type.created_at),
        "updated_at": None if event_type.is_built_in else to_rfc3339(event_type.updated_at),
        "built_in": event_type.is_built_in,
    }


def planned_change(planned: PlannedChange) -> Body:
    """Serialize what becomes of an event type."""
    return {
        "code": planned.after.code,
        "change": "unchanged" if planned.action is None else planned.action.value.partition(".")[2],
        "fields": list(planned.fields),
        "breaks": [{"field": one.field, "code": one.code, "message": one.message} for one in planned.broken],
    }


def timeline_entry(entry: TimelineEntry) -> Body:
    """Serialize a line of a timeline, without the members that do not apply."""
    event, delivery, attempt = entry.event, entry.delivery, entry.attempt
    about: Body = {"at": to_rfc3339(entry.at), "kind": entry.kind.value, "text": entry.text}
    if event is not None:
        about |= {"event_id": event.id, "event_code": event.event_code, **_known_as(event)}
    if delivery is not None:
        about |= {"event_id": delivery.event_id, "event_code": delivery.event_code}
        about |= {"delivery_id": delivery.id, "webhook_id": delivery.webhook_id}
    if attempt is not None:
        about |= {"url": attempt.url, "attempt": attempt.number, "duration_ms": attempt.duration}
        about |= {} if attempt.status_code is None else {"status_code": attempt.status_code}
        about |= {"error": _error(attempt)} if attempt.error_code else {}
    if entry.interruption is not None:
        about["attempt"] = entry.interruption.number
    return {**about, **({"held_reason": entry.held_reason} if entry.held_reason else {})}


def _error(attempt: Attempt | AttemptSummary) -> Body:
    return {"code": attempt.error_code, "message": attempt.error_message}


def feed(found: FeedResult) -> Body:
    """Serialize events as a receiver gets them, and the cursor to go on from."""
    return {"data": [Raw(_message(event)) for event in found.events], "cursor": found.cursor}


def _message(event: Event) -> bytes:
    """Return what a receiver gets of an event; of an erased one also when it was."""
    content = message(event.id, event.event_code, event.created_at, event.organization_id, event.data)
    if event.erased_at is None:
        return content
    return b'%b,"erased_at":"%b"}' % (content[:-1], to_rfc3339(event.erased_at).encode())


def event_detail(found: Event, deliveries: Sequence[Delivery]) -> Body:
    """Serialize an event with its deliveries."""
    return {**event(found), "deliveries": [delivery(item) for item in deliveries]}


def delivery(delivery: Delivery) -> Body:
    """Serialize a delivery, without its attempts."""
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


def delivery_of_instance(found: Delivery) -> Body:
    """Serialize a delivery of any organization."""
    return {**delivery(found), "organization_id": found.organization_id}


def delivery_detail(detail: DeliveryDetail) -> Body:
    """Serialize a delivery with its attempts and the times of the next ones."""
    return {
        **delivery(detail.delivery),
        **({"held_reason": detail.held_reason} if detail.held_reason else {}),
        "schedule": [to_rfc3339(instant) for instant in detail.schedule],
        "attempts": _newest(detail.attempts),
        "interruptions": [interruption(item) for item in detail.interruptions],
    }


def _newest(attempts: Sequence[Attempt]) -> list[Raw]:
    """Serialize the newest attempts, oldest first, as many as fit into MAX_ATTEMPTS_BYTES."""
    chosen: list[Raw] = []
    size = 0
    for item in reversed(attempts):
        content = encode(attempt(item))
        size += len(content)
        if chosen and size > MAX_ATTEMPTS_BYTES:
            break
        chosen.append(Raw(content))
    return chosen[::-1]


def replay(replay: Replay) -> Body:
    """Serialize a replay with its progress."""
    return {
        "id": replay.id,
        "webhook_id": replay.webhook_id,
        "select": replay.selection.value,
        "since": to_rfc3339(replay.since),
        "until": _instant(replay.until),
        "event_codes": list(replay.event_codes),
        "subject": replay.subject or None,
        "latest_only": replay.latest_only,
        "status": replay.status.value,
        "matched": replay.matched,
        "queued": replay.queued,
        "delivered": replay.delivered,
        "failed": replay.failed,
        "created_at": to_rfc3339(replay.created_at),
        "finished_at": _instant(replay.finished_at),
        "created_by": replay.created_by,
    }


def preview(preview: Preview) -> Body:
    """Serialize what a replay would take."""
    return {
        "matched": preview.matched,
        "oldest": _instant(preview.oldest),
        "newest": _instant(preview.newest),
        "sample": preview.sample,
    }


def interruption(interruption: Interruption) -> Body:
    """Serialize an attempt with an unknown outcome."""
    return {
        "attempt": interruption.number,
        "noticed_at": to_rfc3339(interruption.noticed_at),
        "message": UNKNOWN_OUTCOME,
    }


def audit_entry(entry: AuditEntry, principal: Principal) -> Body:
    """Serialize an audit entry. A tenant does not see the operator's address and user agent."""
    is_hidden = entry.by.name == OPERATOR and not principal.is_operator
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
        "source": None if is_hidden else entry.by.source,
        "request_id": entry.by.request_id or None,
        "user_agent": None if is_hidden else entry.by.user_agent or None,
    }


def attempt(attempt: Attempt) -> Body:
    """Serialize an attempt. Bytes of the response that are not UTF-8 become replacement characters."""
    return {
        "number": attempt.number,
        "started_at": to_rfc3339(attempt.started_at),
        "duration_ms": attempt.duration,
        "url": attempt.url,
        "request_headers": Raw(attempt.request_headers.encode()),
        "status_code": attempt.status_code,
        "response_headers": [list(pair) for pair in attempt.response_headers],
        "response_body": attempt.response_body.decode("utf-8", "replace"),
        "error": _error(attempt) if attempt.error_code else None,
    }


def endpoint_report(found: Sequence[Finding]) -> Body:
    """Serialize what was found about an endpoint."""
    return {
        "level": worst(found).value,
        "summary": summary_of(found),
        "findings": [
            {"check": item.check.value, "level": item.level.value, "message": item.message, "fix": item.fix or None}
            for item in found
        ],
    }


def webhook_state(found: WebhookHealth) -> Body:
    """Serialize how a webhook is."""
    facts, failure = found.facts, found.facts.last_failure
    return {
        "webhook_id": facts.id,
        "state": found.diagnosis.state.value,
        "message": found.diagnosis.message,
        "failing_since": _instant(facts.failing_since),
        "disables_at": _instant(found.disables_at),
        "last_failure": None
        if failure is None
        else {"at": to_rfc3339(failure.at), "code": failure.code, "message": failure.message},
    }


def listed_health(found: WebhookHealth) -> Body:
    """Serialize how a webhook of any organization is."""
    facts = found.facts
    whose = {"organization_id": facts.organization_id, "event_code": facts.event_code, "endpoint": facts.endpoint}
    return {**webhook_state(found), **whose}


def health_report(report: HealthReport) -> Body:
    """Serialize how a webhook is, what waits for it, and what its attempts came to."""
    return {
        **webhook_state(report.health),
        "backlog": report.backlog.count,
        "backlog_has_more": report.backlog.has_more,
        "oldest_waiting_at": _instant(report.backlog.oldest_at),
        "next_attempt_at": _instant(report.next_attempt_at),
        "last_success_at": _instant(report.last_success_at),
        "filter_errors": _filter_errors(report.filter_errors),
        "windows": {name: summary(window) for name, window in report.windows.items()},
    }


def _filter_errors(found: FilterErrors | None) -> Body | None:
    if found is None:
        return None
    return {
        "count": found.count,
        "since": to_rfc3339(found.since),
        "last_at": to_rfc3339(found.last_at),
        "last_event_id": found.event_id,
        "message": found.message,
    }


def summary(summary: Summary) -> Body:
    """Serialize a summary of attempts, without the single outcomes."""
    rate = summary.success_rate
    return {
        "start": to_rfc3339(summary.start),
        "attempts": summary.attempts,
        "delivered": summary.delivered,
        "failed": summary.attempts - summary.delivered,
        "exhausted": summary.exhausted,
        "success_rate": None if rate is None else round(rate, 4),
        "p50_ms": summary.p50,
        "p95_ms": summary.p95,
        "p99_ms": summary.p99,
    }


def chart(chart: Chart) -> Body:
    """Serialize a series."""
    return {
        "from": to_rfc3339(chart.points[0].start),
        "to": to_rfc3339(chart.until),
        "step": to_duration(chart.step),
        "data": [{**summary(point), "outcomes": point.outcomes} for point in chart.points],
    }


def _instant(instant: int | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
