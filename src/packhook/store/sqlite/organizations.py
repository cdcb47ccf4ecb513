"""Create, read and delete organizations."""

from typing import Final

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Organization
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import Conditions
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one, fetch_page
from packhook.store.sqlite.statistics import orphan_statistics

_NOT_DELETED: Final = Conditions(("deleted_at IS NULL",), {})


def require_organization(db: apsw.Connection, organization_id: str) -> None:
    """Raise NotFound unless the organization is there."""
    get_organization(db, organization_id)


def create_organization(db: apsw.Connection, organization: Organization, entry: AuditEntry) -> None:
    """See Store.create_organization."""
    if fetch_one(db, SQL["find_organization_id"], (organization.id,)) is not None:
        raise Conflict(f"the organization id {organization.id!r} is, or was, in use")
    db.execute(SQL["insert_organization"], tuple(rows.ORGANIZATIONS.values(organization)))
    write_audit(db, entry)


def get_organization(db: apsw.Connection, organization_id: str) -> Organization:
    """See Store.get_organization."""
    row = fetch_one(db, SQL["get_organization"], (organization_id,))
    if row is None:
        raise NotFound(f"no organization {organization_id!r}")
    return rows.ORGANIZATIONS.read(row)


def list_organizations(db: apsw.Connection, page: PageRequest) -> Page[Organization]:
    """See Store.list_organizations."""
    return fetch_page(db, "list_organizations", _NOT_DELETED, page, rows.ORGANIZATIONS.read, newest_first=False)


def update_organization(db: apsw.Connection, organization: Organization, entry: AuditEntry) -> None:
    """See Store.update_organization."""
    values = (organization.id, organization.name, organization.retention)
    if fetch_one(db, SQL["update_organization"], values) is None:
        raise NotFound(f"no organization {organization.id!r}")
    write_audit(db, entry)


def delete_organization(db: apsw.Connection, organization_id: str, now: int, entry: AuditEntry) -> list[str]:
    """See Store.delete_organization; return the ids of the webhooks that were deleted with it."""
    require_organization(db, organization_id)
    write_audit(db, entry)
    db.execute(SQL["delete_organization"], (now, organization_id))
    db.execute(SQL["revoke_organization_keys"], (now, organization_id))
    db.execute(SQL["delete_organization_portal_sessions"], (organization_id,))
    deleted = [row[0] for row in fetch_all(db, SQL["delete_organization_webhooks"], (now, organization_id))]
    db.executemany(SQL["cancel_replays"], [(now, webhook_id) for webhook_id in deleted])
    orphan_statistics(db, deleted, now)
    db.executemany(SQL["delete_alerts"], [(webhook_id,) for webhook_id in deleted])
    return deleted
