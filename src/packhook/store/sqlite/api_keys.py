"""Create, find and revoke API keys."""

from collections.abc import Callable, Sequence

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.model import ApiKey
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import api_key_conditions
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_one, fetch_page
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer
from packhook.store.usage import Usage


class SqliteApiKeys:
    """Implement the part of :class:`packhook.store.base.Store` about API keys; see there for every promise."""

    def __init__(
        self, reader: Callable[[], Reader], hot_path_reader: Callable[[], Reader], writer: Callable[[], Writer]
    ) -> None:
        self._reader = reader
        self._hot_path_reader = hot_path_reader
        self._writer = writer

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        """See Store.create_api_key."""
        await self._writer().write_for(api_key.organization_id, create_api_key, api_key, key_hash, entry)

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        """See Store.list_api_keys."""
        return await self._reader().read_for(organization_id, list_api_keys, organization_id, page)

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        """See Store.revoke_api_key."""
        await self._writer().write_for(organization_id, revoke_api_key, organization_id, api_key_id, now, entry)

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        """See Store.find_api_key."""
        return await self._hot_path_reader().read(find_api_key, key_hash)

    async def record_key_usage(self, usages: Sequence[Usage]) -> None:
        """See Store.record_key_usage."""
        await self._writer().write(record_key_usage, usages)


def create_api_key(db: apsw.Connection, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
    """See Store.create_api_key."""
    require_organization(db, api_key.organization_id)
    write_audit(db, entry)
    db.execute(SQL["insert_api_key"], (key_hash, *rows.API_KEYS.values(api_key)))


def list_api_keys(db: apsw.Connection, organization_id: str, page: PageRequest) -> Page[ApiKey]:
    """See Store.list_api_keys."""
    require_organization(db, organization_id)
    conditions = api_key_conditions(organization_id)
    return fetch_page(db, "list_api_keys", conditions, page, rows.API_KEYS.read, newest_first=False)


def revoke_api_key(db: apsw.Connection, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
    """See Store.revoke_api_key."""
    if fetch_one(db, SQL["revoke_api_key"], (now, organization_id, api_key_id)) is None:
        raise NotFound(f"no API key {api_key_id!r}")
    write_audit(db, entry)


def find_api_key(db: apsw.Connection, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
    """See Store.find_api_key."""
    row = fetch_one(db, SQL["find_api_key"], (key_hash,))
    return None if row is None else (rows.API_KEYS.read(row), row[-1])


def record_key_usage(db: apsw.Connection, usages: Sequence[Usage]) -> None:
    """See Store.record_key_usage."""
    db.executemany(SQL["record_key_usage"], [(usage.at, usage.api_key_id) for usage in usages])
