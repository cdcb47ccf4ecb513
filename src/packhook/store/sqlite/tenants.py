"""Organizations and their keys, and the operator's."""

from collections.abc import Sequence

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import ApiKey, Organization
from packhook.store import rows
from packhook.store.base import Page, PageRequest, Usage
from packhook.store.pagination import list_page
from packhook.store.sqlite.asking import SQL, fetcher, first
from packhook.store.sqlite.audit import write_audit


def require_organization(db: apsw.Connection, organization_id: str) -> None:
    """NotFound unless the organization is there."""
    get_organization(db, organization_id)


def create_organization(db: apsw.Connection, item: tuple[Organization, AuditEntry]) -> None:
    """See Store.create_organization."""
    organization, entry = item
    if first(db, SQL["was_organization"], (organization.id,)) is not None:
        raise Conflict(f"the organization id {organization.id!r} is, or was, in use")
    db.execute(SQL["insert_organization"], (organization.id, organization.name, organization.created_at))
    write_audit(db, entry)


def get_organization(db: apsw.Connection, organization_id: str) -> Organization:
    """See Store.get_organization."""
    row = first(db, SQL["get_organization"], (organization_id,))
    if row is None:
        raise NotFound(f"no organization {organization_id!r}")
    return rows.organization(row)


def list_organizations(db: apsw.Connection, page: PageRequest) -> Page[Organization]:
    """See Store.list_organizations."""
    return list_page(
        SQL["list_organizations"],
        ["deleted_at IS NULL"],
        {},
        page,
        newest_first=False,
        fetch=fetcher(db),
        read=rows.organization,
    )


def delete_organization(db: apsw.Connection, item: tuple[str, int, AuditEntry]) -> list[str]:
    """See Store.delete_organization; the ids of the webhooks that went with it."""
    organization_id, now, entry = item
    require_organization(db, organization_id)
    write_audit(db, entry)
    db.execute(SQL["delete_organization"], (now, organization_id))
    db.execute(SQL["revoke_organization_keys"], (now, organization_id))
    return [row[0] for row in db.execute(SQL["delete_organization_webhooks"], (now, organization_id))]


def create_api_key(db: apsw.Connection, item: tuple[ApiKey, bytes, AuditEntry]) -> None:
    """See Store.create_api_key."""
    key, key_hash, entry = item
    require_organization(db, key.organization_id)
    write_audit(db, entry)
    db.execute(
        SQL["insert_api_key"],
        (
            key.id,
            key.organization_id,
            key.name,
            rows.to_json(key.scopes),
            key.prefix,
            key.created_at,
            key.expires_at,
            key.last_used_at,
            key_hash,
        ),
    )


def list_api_keys(db: apsw.Connection, organization_id: str, page: PageRequest) -> Page[ApiKey]:
    """See Store.list_api_keys."""
    require_organization(db, organization_id)
    return list_page(
        SQL["list_api_keys"],
        ["organization_id = :organization_id", "revoked_at IS NULL"],
        {"organization_id": organization_id},
        page,
        newest_first=False,
        fetch=fetcher(db),
        read=rows.api_key,
    )


def revoke_api_key(db: apsw.Connection, item: tuple[str, str, int, AuditEntry]) -> None:
    """See Store.revoke_api_key."""
    organization_id, api_key_id, now, entry = item
    if first(db, SQL["revoke_api_key"], (now, organization_id, api_key_id)) is None:
        raise NotFound(f"no API key {api_key_id!r}")
    write_audit(db, entry)


def find_api_key(db: apsw.Connection, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
    """See Store.find_api_key."""
    row = first(db, SQL["find_api_key"], (key_hash,))
    return None if row is None else (rows.api_key(row), row[8])


def note_usage(db: apsw.Connection, usages: Sequence[Usage]) -> None:
    """See Store.note_usage."""
    db.executemany(SQL["note_usage"], [(usage.at, usage.api_key_id) for usage in usages])


def claim_operator_key(db: apsw.Connection, item: tuple[bytes, AuditEntry]) -> bytes:
    """See Store.claim_operator_key."""
    key_hash, entry = item
    if first(db, SQL["claim_operator_key"], (key_hash,)) is not None:
        write_audit(db, entry)
    row = first(db, SQL["get_operator_key"], ())
    assert row is not None  # noqa: S101 the statement before has just made sure
    return bytes(row[0])


def claim_key_check(db: apsw.Connection, check: bytes) -> bytes:
    """See Store.claim_key_check."""
    db.execute(SQL["claim_key_check"], (check,))
    row = first(db, SQL["get_key_check"], ())
    assert row is not None  # noqa: S101 it was just put there
    return bytes(row[0])


def replace_key_check(db: apsw.Connection, item: tuple[bytes, bytes]) -> None:
    """See Store.replace_key_check; the item is (check, before)."""
    db.execute(SQL["replace_key_check"], item)
