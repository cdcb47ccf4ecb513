"""Create, find and revoke API keys."""

from collections.abc import Sequence

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.model import ApiKey
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import api_key_conditions
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.organizations import get_organization, lock_organization
from packhook.store.postgres.queries import SQL, Db, Run, RunFor, fetch_page, has_no_nul, replace_nul, to_arrays
from packhook.store.usage import Usage


class PostgresApiKeys:
    """Implement the part of :class:`packhook.store.base.Store` about API keys; see there for every promise."""

    def __init__(self, read_for: RunFor, read_hot_path: Run, write_for: RunFor, write: Run) -> None:
        self._read_for = read_for
        self._read_hot_path = read_hot_path
        self._write_for = write_for
        self._write = write

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        """See Store.create_api_key."""
        await self._write_for(api_key.organization_id, create_api_key, api_key, key_hash, entry)

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        """See Store.list_api_keys."""
        return await self._read_for(organization_id, list_api_keys, organization_id, page)

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        """See Store.revoke_api_key."""
        await self._write_for(organization_id, revoke_api_key, organization_id, api_key_id, now, entry)

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        """See Store.find_api_key."""
        return await self._read_hot_path(find_api_key, key_hash)

    async def record_key_usage(self, usages: Sequence[Usage]) -> None:
        """See Store.record_key_usage."""
        await self._write(record_key_usage, usages)


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
