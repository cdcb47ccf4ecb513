"""Create, read, replace and delete webhooks; disable those that fail."""

from collections.abc import Collection

from packhook.core.audit import AuditEntry, auto_disabled_entry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Webhook, WebhookState
from packhook.core.secret_rotation import first_check_at
from packhook.store import rows
from packhook.store.base import Page, PageRequest, WebhookFilter
from packhook.store.filters import webhook_conditions
from packhook.store.leasing import CHANGED, LaneChange
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.operational_events import report_disabled, report_warnings
from packhook.store.postgres.organizations import get_organization, lock_organization
from packhook.store.postgres.queries import SQL, Db, fetch_page, has_no_nul, replace_nul, to_arrays
from packhook.store.postgres.statistics import orphan_statistics


async def create_webhook(db: Db, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
    """See Store.create_webhook. The lock makes others that create one wait."""
    await lock_organization(db, webhook.organization_id)
    (count,) = (await db.fetch_all(SQL["count_webhooks"], webhook.organization_id))[0]
    if limit is not None and count >= limit:
        raise Conflict(f"an organization may have {limit} webhooks, and this one has {count}: delete one first")
    await db.fetch_all(SQL["insert_webhook"], *replace_nul(rows.WEBHOOKS.values(webhook)))
    await write_audit(db, entry)


async def get_webhook(db: Db, organization_id: str, webhook_id: str) -> Webhook:
    """See Store.get_webhook."""
    known = has_no_nul(organization_id, webhook_id)
    row = await db.fetch_one(SQL["get_webhook"], organization_id, webhook_id) if known else None
    if row is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    return rows.WEBHOOKS.read(row)


async def list_webhooks(db: Db, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
    """See Store.list_webhooks."""
    await get_organization(db, organization_id)
    conditions = webhook_conditions(organization_id, where)
    return await fetch_page(db, "list_webhooks", conditions, page, rows.WEBHOOKS.read, newest_first=False)


async def replace_webhook(db: Db, webhook: Webhook, entry: AuditEntry) -> tuple[bool, Collection[str]]:
    """See Store.replace_webhook; return whether this makes its waiting deliveries due, and its id as changed."""
    before = await _write_next_version(db, webhook)
    await write_audit(db, entry)
    if webhook.previous_secrets and webhook.previous_secrets != before.previous_secrets:
        await db.fetch_all(SQL["schedule_rotation"], webhook.id, webhook.organization_id, first_check_at(webhook))
    change = LaneChange.of(before, webhook)
    now = webhook.updated_at
    if change.clears_health:
        await db.fetch_all(SQL["clear_health"], [webhook.id])
        await db.fetch_all(SQL["reset_alert"], webhook.id)
    if change.ends_hold:
        await db.fetch_all(SQL["resume_lane"], webhook.id)
    if change.expedites:
        await db.fetch_all(SQL["expedite_lane"], webhook.id, webhook.organization_id, now)
    if change.makes_due:
        await db.fetch_all(SQL["lower_lane_due_at"], [webhook.id], [webhook.organization_id], [now])
    return change.makes_due, (webhook.id,)


async def release_unverified(db: Db, now: int) -> None:
    """Make the deliveries of unverified webhooks due, because verification is no longer required."""
    await db.fetch_all(SQL["release_unverified_lanes"], now)


async def reencrypt_webhook(db: Db, webhook: Webhook) -> tuple[None, Collection[str]]:
    """See Store.reencrypt_webhook; return its id as changed."""
    await _write_next_version(db, webhook)
    return None, (webhook.id,)


async def claim_rotations(db: Db, now: int, until: int, limit: int) -> tuple[tuple[str, str], ...]:
    """See RotationStore.claim_rotations."""
    await db.fetch_all(SQL["delete_ended_rotations"], now)
    return tuple((row[0], row[1]) for row in await db.fetch_all(SQL["claim_rotations"], now, until, limit))


async def postpone_rotations(db: Db, webhook_ids: Collection[str], due_at: int) -> None:
    """See RotationStore.postpone_rotations."""
    await db.fetch_all(SQL["postpone_rotations"], list(webhook_ids), due_at)


async def _write_next_version(db: Db, webhook: Webhook) -> Webhook:
    """Replace the version before it, and return that one. Raises NotFound or Conflict."""
    before = await get_webhook(db, webhook.organization_id, webhook.id)
    values = replace_nul(rows.WEBHOOKS.values(webhook))
    replaced = before.version == webhook.version - 1 and await db.fetch_one(
        SQL["replace_webhook"], before.version, webhook.organization_id, webhook.id, *values
    )
    if not replaced:
        raise Conflict(CHANGED)
    return before


async def disable_webhooks(db: Db, disabled: Collection[tuple[str, str, int]]) -> frozenset[str]:
    """Disable webhooks automatically (id, reason, instant); return which were not disabled or deleted before."""
    found = await db.fetch_all(SQL["disable_webhook"], *to_arrays(map(replace_nul, disabled), 3))
    for organization_id, webhook_id, reason, now in found:
        await write_audit(db, auto_disabled_entry(organization_id, webhook_id, reason, now))
    return frozenset(row[1] for row in found)


async def warn_failing(db: Db, failing_for: int, now: int) -> dict[str, int]:
    """See Store.warn_failing."""
    await report_warnings(db, now)
    return {row[0]: row[1] for row in await db.fetch_all(SQL["warn_failing"], now, failing_for)}


async def disable_failing(db: Db, failing_for: int, now: int, reason: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """See Store.disable_failing; return the ids twice, as the answer and as changed."""
    found = await db.fetch_all(SQL["disable_failing"], failing_for, *replace_nul([reason]), now)
    for organization_id, webhook_id in found:
        await write_audit(db, auto_disabled_entry(organization_id, webhook_id, reason, now))
    disabled = tuple(sorted(row[1] for row in found))
    await report_disabled(db, disabled, now)
    return disabled, disabled


async def delete_webhook(
    db: Db, organization_id: str, webhook_id: str, now: int, entry: AuditEntry, version: int | None = None
) -> tuple[None, Collection[str]]:
    """See Store.delete_webhook; return its id as changed."""
    known = has_no_nul(organization_id, webhook_id)
    if not known or await db.fetch_one(SQL["delete_webhook"], now, organization_id, webhook_id, version) is None:
        await get_webhook(db, organization_id, webhook_id)
        raise Conflict(CHANGED)
    await write_audit(db, entry)
    await db.fetch_all(SQL["clear_health"], [webhook_id])
    await db.fetch_all(SQL["cancel_replays"], now, [webhook_id])
    await orphan_statistics(db, [webhook_id], now)
    await db.fetch_all(SQL["delete_alerts"], [webhook_id])
    return None, (webhook_id,)


async def iter_webhooks(db: Db, anchor: str, limit: int) -> tuple[Webhook, ...]:
    """See Store.iter_webhooks."""
    return tuple(map(rows.WEBHOOKS.read, await db.fetch_all(SQL["iter_webhooks"], anchor, limit)))


async def changed_webhooks(db: Db, since: int) -> tuple[str, ...]:
    """Return the ids of webhooks that were changed or deleted since an instant."""
    return tuple(row[0] for row in await db.fetch_all(SQL["changed_webhooks"], since))


async def failing_since(db: Db, webhook_ids: Collection[str]) -> dict[str, int]:
    """See Store.failing_since."""
    return {row[0]: row[1] for row in await db.fetch_all(SQL["failing_since"], list(webhook_ids))}


async def webhook_states(db: Db, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
    """See Store.webhook_states."""
    found = await db.fetch_all(SQL["get_webhook_states"], list(webhook_ids))
    return {state.webhook.id: state for state in map(rows.webhook_state, found)}
