"""The audit trail: written by whoever changes something, in the transaction of the change."""

from typing import Final

from packhook.core.audit import AuditEntry
from packhook.store import rows
from packhook.store.base import AuditFilter, Page, PageRequest
from packhook.store.postgres.asking import SQL, Db, columns, page_of, storable

_COLUMNS: Final = 13


async def write_audit(db: Db, *entries: AuditEntry) -> None:
    """See Store.write_audit."""
    values = [tuple(map(_kept, rows.audit_values(entry))) for entry in entries]
    await db.all(SQL["insert_audit_entry"], *columns(values, _COLUMNS))


def _kept(value: str | int) -> str | int:
    return storable(value) if isinstance(value, str) else value


async def list_audit(db: Db, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
    """See Store.list_audit; an empty text at its end keeps PostgreSQL from the organization's index."""
    conditions, values = rows.audit_conditions(where, "organization_id || ''")
    return await page_of(
        db, SQL["list_audit_entries"], conditions, values, page, newest_first=True, read=rows.audit_entry
    )
