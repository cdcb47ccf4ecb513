"""Create, read and delete organizations."""

from typing import Final

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Organization
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import Conditions
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.queries import SQL, Db, fetch_page, has_no_nul, replace_nul
from packhook.store.postgres.statistics import orphan_statistics

_NOT_DELETED: Final = Conditions(("deleted_at IS NULL",), {})


async def create_organization(db: Db, organization: Organization, entry: AuditEntry) -> None:
    """See Store.create_organization."""
    values = replace_nul(rows.ORGANIZATIONS.values(organization))
    if await db.fetch_one(SQL["insert_organization"], *values) is None:
        raise Conflict(f"the organization id {organization.id!r} is, or was, in use")
    await write_audit(db, entry)


async def get_organization(db: Db, organization_id: str) -> Organization:
    """See Store.get_organization."""
    row = await db.fetch_one(SQL["get_organization"], organization_id) if has_no_nul(organization_id) else None
    if row is None:
        raise NotFound(f"no organization {organization_id!r}")
    return rows.ORGANIZATIONS.read(row)


async def lock_organization(db: Db, organization_id: str) -> None:
    """Keep the organization from being deleted before the transaction ends. Raises NotFound."""
    if not has_no_nul(organization_id) or await db.fetch_one(SQL["lock_organization"], organization_id) is None:
        raise NotFound(f"no organization {organization_id!r}")


async def list_organizations(db: Db, page: PageRequest) -> Page[Organization]:
    """See Store.list_organizations."""
    return await fetch_page(db, "list_organizations", _NOT_DELETED, page, rows.ORGANIZATIONS.read, newest_first=False)


async def update_organization(db: Db, organization: Organization, entry: AuditEntry) -> None:
    """See Store.update_organization."""
    values = replace_nul((organization.id, organization.name, organization.retention))
    if await db.fetch_one(SQL["update_organization"], *values) is None:
        raise NotFound(f"no organization {organization.id!r}")
    await write_audit(db, entry)


async def delete_organization(db: Db, organization_id: str, now: int, entry: AuditEntry) -> tuple[None, list[str]]:
    """See Store.delete_organization; return the ids of the webhooks that were deleted with it."""
    known = has_no_nul(organization_id)
    if not known or await db.fetch_one(SQL["delete_organization"], now, organization_id) is None:
        raise NotFound(f"no organization {organization_id!r}")
    await write_audit(db, entry)
    await db.fetch_all(SQL["revoke_organization_keys"], now, organization_id)
    await db.fetch_all(SQL["delete_organization_portal_sessions"], organization_id)
    deleted = [row[0] for row in await db.fetch_all(SQL["delete_organization_webhooks"], now, organization_id)]
    await db.fetch_all(SQL["cancel_replays"], now, deleted)
    await orphan_statistics(db, deleted, now)
    await db.fetch_all(SQL["delete_alerts"], deleted)
    return None, deleted
