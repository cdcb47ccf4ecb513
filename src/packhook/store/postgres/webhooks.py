"""Webhooks: what subscribes, and what is known of an endpoint that fails."""

from collections.abc import Collection
from typing import Any, Final

from packhook.core.audit import AuditEntry, of_disabling
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Webhook, WebhookState
from packhook.store import rows
from packhook.store.base import Page, PageRequest, WebhookFilter
from packhook.store.postgres.asking import SQL, Db, columns, page_of, sayable, storable
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.tenants import get_organization, hold_organization

_ENABLED: Final = 5
_DESCRIPTION: Final = 9
_REASON: Final = 14
_UNPROVEN: Final = 17


def _values(webhook: Webhook) -> list[Any]:
    """For the columns of insert_webhook."""
    values = list(rows.webhook_values(webhook))
    values[_ENABLED] = webhook.enabled
    values[_UNPROVEN] = webhook.verification_pending
    values[_DESCRIPTION] = storable(webhook.description)
    values[_REASON] = storable(webhook.disabled_reason)
    return values


async def create_webhook(db: Db, webhook: Webhook, entry: AuditEntry) -> None:
    """See Store.create_webhook."""
    await hold_organization(db, webhook.organization_id)
    await db.all(SQL["insert_webhook"], *_values(webhook))
    await write_audit(db, entry)


async def get_webhook(db: Db, organization_id: str, webhook_id: str) -> Webhook:
    """See Store.get_webhook."""
    known = sayable(organization_id, webhook_id)
    row = await db.first(SQL["get_webhook"], organization_id, webhook_id) if known else None
    if row is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    return rows.webhook(row)


async def list_webhooks(db: Db, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
    """See Store.list_webhooks."""
    await get_organization(db, organization_id)
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
    return await page_of(db, SQL["list_webhooks"], conditions, values, page, newest_first=False, read=rows.webhook)


async def replace_webhook(db: Db, webhook: Webhook, entry: AuditEntry) -> tuple[bool, Collection[str]]:
    """See Store.replace_webhook; whether what waited for it is due by this, and that it was changed."""
    before = await _next_version(db, webhook)
    await write_audit(db, entry)
    if webhook.endpoint != before.endpoint:
        await db.all(SQL["forget_health"], [webhook.id])
    is_proven = before.verification_pending and not webhook.verification_pending
    if is_proven:
        await db.all(SQL["lower_lane"], [webhook.id], [webhook.organization_id], [webhook.updated_at])
    if not webhook.enabled or before.enabled:
        return is_proven, (webhook.id,)
    await db.all(SQL["forget_health"], [webhook.id])
    await db.all(SQL["open_lane"], webhook.id)
    await db.all(SQL["lower_lane"], [webhook.id], [webhook.organization_id], [webhook.updated_at])
    return True, (webhook.id,)


async def release_unverified(db: Db, now: int) -> None:
    """Nobody asks for proofs of ownership any more: what waited for one is due."""
    await db.all(SQL["release_unverified_lanes"], now)


async def reseal_webhook(db: Db, webhook: Webhook) -> tuple[None, Collection[str]]:
    """See Store.reseal_webhook; and that it was changed."""
    await _next_version(db, webhook)
    return None, (webhook.id,)


async def _next_version(db: Db, webhook: Webhook) -> Webhook:
    """Write it over the version before it, and answer that one."""
    before = await get_webhook(db, webhook.organization_id, webhook.id)
    values = _values(webhook)
    replaced = before.version == webhook.version - 1 and await db.first(
        SQL["replace_webhook"], *values[2:6], *values[7:], webhook.organization_id, webhook.id, before.version
    )
    if not replaced:
        raise Conflict("the webhook was changed by somebody else at the same time")
    return before


async def disable_webhooks(db: Db, wanted: Collection[tuple[str, str, int]]) -> None:
    """packhook itself disables these, if nobody was faster: each an id, the reason and the instant."""
    disabled = await db.all(SQL["disable_webhook"], *columns(wanted, 3))
    if disabled:
        await write_audit(db, *(of_disabling(*row) for row in disabled))


async def delete_webhook(
    db: Db, organization_id: str, webhook_id: str, now: int, entry: AuditEntry
) -> tuple[None, Collection[str]]:
    """See Store.delete_webhook; and that it was changed."""
    known = sayable(organization_id, webhook_id)
    if not known or await db.first(SQL["delete_webhook"], now, organization_id, webhook_id) is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    await write_audit(db, entry)
    await db.all(SQL["forget_health"], [webhook_id])
    return None, (webhook_id,)


async def iter_webhooks(db: Db, anchor: str, limit: int) -> tuple[Webhook, ...]:
    """See Store.webhooks_after."""
    return tuple(rows.webhook(row) for row in await db.all(SQL["webhooks_after"], anchor, limit))


async def changed_webhooks(db: Db, since: int) -> tuple[str, ...]:
    """The ids of those that were changed or deleted since an instant."""
    return tuple(row[0] for row in await db.all(SQL["changed_webhooks"], since))


async def failing_since(db: Db, webhook_ids: Collection[str]) -> dict[str, int]:
    """See Store.failing_since."""
    return {row[0]: row[1] for row in await db.all(SQL["failing_since"], list(webhook_ids))}


async def targets(db: Db, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
    """See Store.targets."""
    found = await db.all(SQL["get_targets"], list(webhook_ids))
    return {
        row[0]: WebhookState(webhook=rows.webhook(row), gone_since=row[-3], failing_since=row[-2], held_until=row[-1])
        for row in found
    }
