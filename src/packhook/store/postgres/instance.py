"""Store what the whole instance has once: the hash of the operator key, and the check of its master keys."""

from packhook.core.audit import AuditEntry
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.queries import SQL, Db


async def claim_operator_key(db: Db, key_hash: bytes, entry: AuditEntry) -> bytes:
    """See Store.claim_operator_key."""
    if await db.fetch_one(SQL["claim_operator_key"], key_hash) is not None:
        await write_audit(db, entry)
    return await _stored(db, "get_operator_key")


async def claim_key_check(db: Db, check: bytes) -> bytes:
    """See Store.claim_key_check."""
    await db.fetch_all(SQL["claim_key_check"], check)
    return await _stored(db, "get_key_check")


async def replace_key_check(db: Db, check: bytes, before: bytes) -> None:
    """See Store.replace_key_check."""
    await db.fetch_all(SQL["replace_key_check"], check, before)


async def _stored(db: Db, name: str) -> bytes:
    row = await db.fetch_one(SQL[name])
    assert row is not None  # noqa: S101 the statement before has just made sure
    return bytes(row[0])
