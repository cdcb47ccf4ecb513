"""Write and list the audit trail. An entry is written in the transaction of the change that it describes."""

import apsw

from packhook.core.audit import AuditEntry
from packhook.store import rows
from packhook.store.base import AuditFilter, Page, PageRequest
from packhook.store.filters import audit_conditions
from packhook.store.sqlite.queries import HINTS, SQL, fetch_page
from packhook.store.sqlite.responses import store_response


def write_audit(db: apsw.Connection, entry: AuditEntry) -> None:
    """See Store.write_audit."""
    db.execute(SQL["insert_audit_entry"], tuple(rows.audit_values(entry)))
    if entry.response is not None:
        store_response(db, entry.response, entry.created_at)


def list_audit(db: apsw.Connection, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
    """See Store.list_audit."""
    conditions = audit_conditions(where, HINTS)
    return fetch_page(db, "list_audit_entries", conditions, page, rows.audit_entry, newest_first=True)
