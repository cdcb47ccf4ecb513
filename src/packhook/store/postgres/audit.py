"""Write and list the audit trail. An entry is written in the transaction of the change that it describes."""

from packhook.core.audit import AuditEntry
from packhook.store import rows
from packhook.store.base import AuditFilter, Page, PageRequest
from packhook.store.filters import audit_conditions
from packhook.store.postgres.queries import HINTS, SQL, Db, fetch_page, replace_nul
from packhook.store.postgres.responses import store_response


async def write_audit(db: Db, entry: AuditEntry) -> None:
    """See Store.write_audit."""
    await db.fetch_all(SQL["insert_audit_entry"], *replace_nul(rows.audit_values(entry)))
    if entry.response is not None:
        await store_response(db, entry.response, entry.created_at)


async def list_audit(db: Db, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
    """See Store.list_audit."""
    conditions = audit_conditions(where, HINTS)
    return await fetch_page(db, "list_audit_entries", conditions, page, rows.audit_entry, newest_first=True)
