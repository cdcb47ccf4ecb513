"""Organizations and their keys, and the operator's."""

from collections.abc import Sequence

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import ApiKey, Organization
from packhook.store import rows
from packhook.store.base import Page, PageRequest, Usage
from packhook.store.postgres.asking import SQL, Db, columns, page_of, sayable, storable
from packhook.store.postgres.audit import write_audit


async def create_organization(db: Db, organization: Organization, entry: AuditEntry) -> None:
    """See Store.create_organization."""
    name = storable(organization.name)
    if await db.first(SQL["insert_organization"], organization.id, name, organization.created_at) is None:
        raise Conflict(f"the organization id {organization.id!r} is, or was, in use")
    await write_audit(db, entry)


async def get_organization(db: Db, organization_id: str) -> Organization:
    """See Store.get_organization."""
    row = await db.first(SQL["get_organization"], organization_id) if sayable(organization_id) else None
    if row is None:
        raise NotFound(f"no organization {organization_id!r}")
    return rows.organization(row)


async def hold_organization(db: Db, organization_id: str) -> None:
    """NotFound unless the organization is there; then nobody deletes it before the transaction ends."""
    if not sayable(organization_id) or await db.first(SQL["hold_organization"], organization_id) is None:
        raise NotFound(f"no organization {organization_id!r}")


async def list_organizations(db: Db, page: PageRequest) -> Page[Organization]:
    """See Store.list_organizations."""
    return await page_of(
        db, SQL["list_organizations"], ["deleted_at IS NULL"], {}, page, newest_first=False, read=rows.organization
    )


async def delete_organization(db: Db, organization_id: str, now: int, entry: AuditEntry) -> tuple[None, list[str]]:
    """See Store.delete_organization; and the ids of the webhooks that went with it."""
    if not sayable(organization_id) or await db.first(SQL["delete_organization"], now, organization_id) is None:
        raise NotFound(f"no organization {organization_id!r}")
    await write_audit(db, entry)
    await db.all(SQL["revoke_organization_keys"], now, organization_id)
    return None, [row[0] for row in await db.all(SQL["delete_organization_webhooks"], now, organization_id)]


async def create_api_key(db: Db, key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
    """See Store.create_api_key."""
    await hold_organization(db, key.organization_id)
    await db.all(
        SQL["insert_api_key"],
        key.id,
        key.organization_id,
        storable(key.name),
        rows.to_json(key.scopes),
        key.prefix,
        key.created_at,
        key.expires_at,
        key.last_used_at,
        key_hash,
    )
    await write_audit(db, entry)


async def list_api_keys(db: Db, organization_id: str, page: PageRequest) -> Page[ApiKey]:
    """See Store.list_api_keys."""
    await get_organization(db, organization_id)
    return await page_of(
        db,
        SQL["list_api_keys"],
        ["organization_id = :organization_id", "revoked_at IS NULL"],
        {"organization_id": organization_id},
        page,
        newest_first=False,
        read=rows.api_key,
    )


async def revoke_api_key(db: Db, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
    """See Store.revoke_api_key."""
    known = sayable(organization_id, api_key_id)
    if not known or await db.first(SQL["revoke_api_key"], now, organization_id, api_key_id) is None:
        raise NotFound(f"no API key {api_key_id!r}")
    await write_audit(db, entry)


async def find_api_key(db: Db, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
    """See Store.find_api_key."""
    row = await db.first(SQL["find_api_key"], key_hash)
    return None if row is None else (rows.api_key(row), row[8])


async def note_usage(db: Db, usages: Sequence[Usage]) -> None:
    """See Store.note_usage."""
    last: dict[str, int] = {}
    for usage in usages:
        last[usage.api_key_id] = max(usage.at, last.get(usage.api_key_id, usage.at))
    await db.all(SQL["note_usage"], *columns(sorted(last.items()), 2))


async def claim_operator_key(db: Db, key_hash: bytes, entry: AuditEntry) -> bytes:
    """See Store.claim_operator_key."""
    if await db.first(SQL["claim_operator_key"], key_hash) is not None:
        await write_audit(db, entry)
    row = await db.first(SQL["get_operator_key"])
    assert row is not None  # noqa: S101 the statement before has just made sure
    return bytes(row[0])


async def claim_key_check(db: Db, check: bytes) -> bytes:
    """See Store.claim_key_check."""
    await db.all(SQL["claim_key_check"], check)
    row = await db.first(SQL["get_key_check"])
    assert row is not None  # noqa: S101 it was just put there
    return bytes(row[0])


async def replace_key_check(db: Db, check: bytes, before: bytes) -> None:
    """See Store.replace_key_check."""
    await db.all(SQL["replace_key_check"], check, before)
