"""Create, find and revoke API keys."""

from collections.abc import Sequence

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.model import ApiKey
from packhook.store import rows
from packhook.store.base import Page, PageRequest, Usage
from packhook.store.filters import api_key_conditions
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.organizations import get_organization, lock_organization
from packhook.store.postgres.queries import SQL, Db, fetch_page, has_no_nul, replace_nul, to_arrays


async def create_api_key(db: Db, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
    """See Store.create_api_key."""
    await lock_organization(db, api_key.organization_id)
    await db.fetch_all(SQL["insert_api_key"], key_hash, *replace_nul(rows.API_KEYS.values(api_key)))
    await write_audit(db, entry)


async def list_api_keys(db: Db, organization_id: str, page: PageRequest) -> Page[ApiKey]:
    """See Store.list_api_keys."""
    await get_organization(db, organization_id)
    conditions = api_key_conditions(organization_id)
    return await fetch_page(db, "list_api_keys", conditions, page, rows.API_KEYS.read, newest_first=False)


async def revoke_api_key(db: Db, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
    """See Store.revoke_api_key."""
    known = has_no_nul(organization_id, api_key_id)
    if not known or await db.fetch_one(SQL["revoke_api_key"], now, organization_id, api_key_id) is None:
        raise NotFound(f"no API key {api_key_id!r}")
    await write_audit(db, entry)


async def find_api_key(db: Db, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
    """See Store.find_api_key."""
    row = await db.fetch_one(SQL["find_api_key"], key_hash)
    return None if row is None else (rows.API_KEYS.read(row), row[-1])


async def record_key_usage(db: Db, usages: Sequence[Usage]) -> None:
    """See Store.record_key_usage."""
    last: dict[str, int] = {}
    for usage in usages:
        last[usage.api_key_id] = max(usage.at, last.get(usage.api_key_id, usage.at))
    await db.fetch_all(SQL["record_key_usage"], *to_arrays(sorted(last.items()), 2))
