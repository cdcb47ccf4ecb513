"""The audit trail: written by whoever changes something, in the transaction of the change."""

import apsw

from packhook.core.audit import AuditEntry
from packhook.store import rows
from packhook.store.base import AuditFilter, Page, PageRequest
from packhook.store.pagination import list_page
from packhook.store.sqlite.asking import SQL, fetcher


def write_audit(db: apsw.Connection, entry: AuditEntry) -> None:
    """See Store.write_audit."""
    db.execute(SQL["insert_audit_entry"], rows.audit_values(entry))


def list_audit(db: apsw.Connection, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
    """See Store.list_audit; a unary plus keeps SQLite from using the organization's index where there is a narrower."""
    conditions, values = rows.audit_conditions(where, "+organization_id")
    return list_page(
        SQL["list_audit_entries"],
        conditions,
        values,
        page,
        newest_first=True,
        fetch=fetcher(db),
        read=rows.audit_entry,
    )
