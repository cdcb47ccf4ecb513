"""Webhooks: what subscribes, and what is known of an endpoint that fails."""

from collections.abc import Collection

import apsw

from packhook.core.audit import AuditEntry, of_disabling
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Webhook, WebhookState
from packhook.store import rows
from packhook.store.base import Page, PageRequest, WebhookFilter
from packhook.store.pagination import list_page
from packhook.store.sqlite.asking import SQL, fetcher, first
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.tenants import require_organization


def create_webhook(db: apsw.Connection, item: tuple[Webhook, AuditEntry]) -> None:
    """See Store.create_webhook."""
    webhook, entry = item
    require_organization(db, webhook.organization_id)
    db.execute(SQL["insert_webhook"], rows.webhook_values(webhook))
    write_audit(db, entry)


def get_webhook(db: apsw.Connection, organization_id: str, webhook_id: str) -> Webhook:
    """See Store.get_webhook."""
    row = first(db, SQL["get_webhook"], (organization_id, webhook_id))
    if row is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    return rows.webhook(row)


def list_webhooks(db: apsw.Connection, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
    """See Store.list_webhooks."""
    require_organization(db, organization_id)
    conditions = ["organization_id = :organization_id", "deleted_at IS NULL"]
    if where.event_code is not None:
        conditions.append("event_code = :event_code")
    if where.enabled is not None:
        conditions.append("enabled = :enabled")
    values = {
        "organization_id": organization_id,
        "event_code": where.event_code,
        "enabled": where.enabled,
    }
    return list_page(
        SQL["list_webhooks"], conditions, values, page, newest_first=False, fetch=fetcher(db), read=rows.webhook
    )


def replace_webhook(db: apsw.Connection, item: tuple[Webhook, AuditEntry]) -> bool:
    """See Store.replace_webhook; whether what waited for it is due by this."""
    webhook, entry = item
    before = _next_version(db, webhook)
    write_audit(db, entry)
    if webhook.endpoint != before.endpoint:
        db.execute(SQL["forget_health"], (webhook.id,))
    if before.verification_pending and not webhook.verification_pending:
        db.execute(SQL["lower_lane"], (webhook.id, webhook.organization_id, webhook.updated_at))
    if webhook.enabled and not before.enabled:
        db.execute(SQL["forget_health"], (webhook.id,))
        db.execute(SQL["open_lane"], (webhook.updated_at, webhook.id))
        return True
    return before.verification_pending and not webhook.verification_pending


def release_unverified(db: apsw.Connection, now: int) -> None:
    """Nobody asks for proofs of ownership any more: what waited for one is due."""
    db.execute(SQL["release_unverified_lanes"], (now,))


def reseal_webhook(db: apsw.Connection, webhook: Webhook) -> None:
    """See Store.reseal_webhook."""
    _next_version(db, webhook)


def _next_version(db: apsw.Connection, webhook: Webhook) -> Webhook:
    """Write it over the version before it, and answer that one."""
    before = get_webhook(db, webhook.organization_id, webhook.id)
    if before.version != webhook.version - 1:
        raise Conflict("the webhook was changed by somebody else at the same time")
    db.execute(
        SQL["replace_webhook"],
        (
            *rows.webhook_values(webhook)[2:6],
            *rows.webhook_values(webhook)[7:],
            webhook.organization_id,
            webhook.id,
            before.version,
        ),
    )
    return before


def disable_webhook(db: apsw.Connection, webhook_id: str, reason: str, now: int) -> None:
    """packhook itself disables it and says why, if nobody was faster."""
    row = first(db, SQL["disable_webhook"], (reason, now, webhook_id))
    if row is not None:
        write_audit(db, of_disabling(row[0], webhook_id, reason, now))


def delete_webhook(db: apsw.Connection, item: tuple[str, str, int, AuditEntry]) -> None:
    """See Store.delete_webhook."""
    organization_id, webhook_id, now, entry = item
    if first(db, SQL["delete_webhook"], (now, organization_id, webhook_id)) is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    write_audit(db, entry)
    db.execute(SQL["forget_health"], (webhook_id,))


def iter_webhooks(db: apsw.Connection, anchor: str, limit: int) -> tuple[Webhook, ...]:
    """See Store.webhooks_after."""
    return tuple(rows.webhook(row) for row in list(db.execute(SQL["webhooks_after"], (anchor, limit))))


def failing_since(db: apsw.Connection, webhook_ids: Collection[str]) -> dict[str, int]:
    """See Store.failing_since."""
    return dict(list(db.execute(SQL["failing_since"], (rows.to_json(list(webhook_ids)),))))


def targets(db: apsw.Connection, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
    """See Store.targets."""
    found = db.execute(SQL["get_targets"], (rows.to_json(list(webhook_ids)),))
    return {
        row[0]: WebhookState(webhook=rows.webhook(row), gone_since=row[-3], failing_since=row[-2], held_until=row[-1])
        for row in found
    }
