"""Create, read, replace and delete webhooks; disable those that fail."""

from collections.abc import Collection

import apsw

from packhook.core.audit import AuditEntry, auto_disabled_entry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Webhook, WebhookState
from packhook.core.secret_rotation import first_check_at
from packhook.store import rows
from packhook.store.base import Page, PageRequest, WebhookFilter
from packhook.store.filters import webhook_conditions
from packhook.store.leasing import CHANGED, LaneChange
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.operational_events import report_disabled, report_warnings
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one, fetch_page
from packhook.store.sqlite.statistics import orphan_statistics


def create_webhook(db: apsw.Connection, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
    """See Store.create_webhook."""
    require_organization(db, webhook.organization_id)
    (count,) = fetch_all(db, SQL["count_webhooks"], (webhook.organization_id,))[0]
    if limit is not None and count >= limit:
        raise Conflict(f"an organization may have {limit} webhooks, and this one has {count}: delete one first")
    db.execute(SQL["insert_webhook"], tuple(rows.WEBHOOKS.values(webhook)))
    write_audit(db, entry)


def get_webhook(db: apsw.Connection, organization_id: str, webhook_id: str) -> Webhook:
    """See Store.get_webhook."""
    row = fetch_one(db, SQL["get_webhook"], (organization_id, webhook_id))
    if row is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    return rows.WEBHOOKS.read(row)


def list_webhooks(db: apsw.Connection, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
    """See Store.list_webhooks."""
    require_organization(db, organization_id)
    conditions = webhook_conditions(organization_id, where)
    return fetch_page(db, "list_webhooks", conditions, page, rows.WEBHOOKS.read, newest_first=False)


def replace_webhook(db: apsw.Connection, webhook: Webhook, entry: AuditEntry) -> bool:
    """See Store.replace_webhook; return whether this makes its waiting deliveries due."""
    before = _write_next_version(db, webhook)
    write_audit(db, entry)
    _schedule_rotation(db, webhook, before)
    change = LaneChange.of(before, webhook)
    now = webhook.updated_at
    if change.clears_health:
        db.execute(SQL["clear_health"], (webhook.id,))
        db.execute(SQL["reset_alert"], (webhook.id,))
    if change.ends_hold:
        db.execute(SQL["resume_lane"], (now, webhook.id))
    if change.expedites:
        db.execute(SQL["expedite_lane"], (now, webhook.id))
    if change.makes_due:
        db.execute(SQL["lower_lane_due_at"], (webhook.id, webhook.organization_id, now))
    return change.makes_due


def release_unverified(db: apsw.Connection, now: int) -> None:
    """Make the deliveries of unverified webhooks due, because verification is no longer required."""
    db.execute(SQL["release_unverified_lanes"], (now,))


def reencrypt_webhook(db: apsw.Connection, webhook: Webhook) -> None:
    """See Store.reencrypt_webhook."""
    _write_next_version(db, webhook)


def _schedule_rotation(db: apsw.Connection, webhook: Webhook, before: Webhook) -> None:
    """Plan when a node first looks at new previous secrets."""
    if webhook.previous_secrets and webhook.previous_secrets != before.previous_secrets:
        values = (webhook.id, webhook.organization_id, first_check_at(webhook))
        db.execute(SQL["schedule_rotation"], values)


def claim_rotations(db: apsw.Connection, now: int, until: int, limit: int) -> tuple[tuple[str, str], ...]:
    """See RotationStore.claim_rotations."""
    db.execute(SQL["delete_ended_rotations"], (now,))
    return tuple((row[0], row[1]) for row in fetch_all(db, SQL["claim_rotations"], (now, until, limit)))


def postpone_rotations(db: apsw.Connection, webhook_ids: Collection[str], due_at: int) -> None:
    """See RotationStore.postpone_rotations."""
    db.execute(SQL["postpone_rotations"], (rows.to_json(list(webhook_ids)), due_at))


def _write_next_version(db: apsw.Connection, webhook: Webhook) -> Webhook:
    """Replace the version before it, and return that one. Raises NotFound or Conflict."""
    before = get_webhook(db, webhook.organization_id, webhook.id)
    if before.version != webhook.version - 1:
        raise Conflict(CHANGED)
    values = (before.version, webhook.organization_id, webhook.id, *rows.WEBHOOKS.values(webhook))
    db.execute(SQL["replace_webhook"], values)
    return before


def disable_webhook(db: apsw.Connection, webhook_id: str, reason: str, now: int) -> bool:
    """Disable a webhook automatically; return whether it was not disabled or deleted before."""
    row = fetch_one(db, SQL["disable_webhook"], (reason, now, webhook_id))
    if row is not None:
        write_audit(db, auto_disabled_entry(row[0], webhook_id, reason, now))
    return row is not None


def warn_failing(db: Connection, failing_for: int, now: int) -> dict[str, int]:
    """See Store.warn_failing."""
    report_warnings(db, now)
    return {row[0]: row[1] for row in fetch_all(db, SQL["warn_failing"], (now, failing_for))}


def disable_failing(db: Connection, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
    """See Store.disable_failing."""
    found = tuple(row[0] for row in fetch_all(db, SQL["failing_webhooks"], (failing_for,)))
    for webhook_id in found:
        disable_webhook(db, webhook_id, reason, now)
    report_disabled(db, found, now)
    return found


def delete_webhook(
    db: apsw.Connection, organization_id: str, webhook_id: str, now: int, entry: AuditEntry, version: int | None = None
) -> None:
    """See Store.delete_webhook."""
    if fetch_one(db, SQL["delete_webhook"], (now, organization_id, webhook_id, version)) is None:
        get_webhook(db, organization_id, webhook_id)
        raise Conflict(CHANGED)
    write_audit(db, entry)
    db.execute(SQL["clear_health"], (webhook_id,))
    db.execute(SQL["cancel_replays"], (now, webhook_id))
    orphan_statistics(db, [webhook_id], now)
    db.execute(SQL["delete_alerts"], (webhook_id,))


def iter_webhooks(db: apsw.Connection, anchor: str, limit: int) -> tuple[Webhook, ...]:
    """See Store.iter_webhooks."""
    return tuple(map(rows.WEBHOOKS.read, fetch_all(db, SQL["iter_webhooks"], (anchor, limit))))


def failing_since(db: apsw.Connection, webhook_ids: Collection[str]) -> dict[str, int]:
    """See Store.failing_since."""
    found = fetch_all(db, SQL["failing_since"], (rows.to_json(list(webhook_ids)),))
    return {row[0]: row[1] for row in found}


def webhook_states(db: apsw.Connection, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
    """See Store.webhook_states."""
    found = fetch_all(db, SQL["get_webhook_states"], (rows.to_json(list(webhook_ids)),))
    return {state.webhook.id: state for state in map(rows.webhook_state, found)}
