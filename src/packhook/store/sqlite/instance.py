"""Store what the whole instance has once: the hash of the operator key, and the check of its master keys."""

import apsw

from packhook.core.audit import AuditEntry
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.queries import SQL, fetch_one


def claim_operator_key(db: apsw.Connection, key_hash: bytes, entry: AuditEntry) -> bytes:
    """See Store.claim_operator_key."""
    if fetch_one(db, SQL["claim_operator_key"], (key_hash,)) is not None:
        write_audit(db, entry)
    return _stored(db, "get_operator_key")


def claim_key_check(db: apsw.Connection, check: bytes) -> bytes:
    """See Store.claim_key_check."""
    db.execute(SQL["claim_key_check"], (check,))
    return _stored(db, "get_key_check")


def replace_key_check(db: apsw.Connection, check: bytes, before: bytes) -> None:
    """See Store.replace_key_check."""
    db.execute(SQL["replace_key_check"], (check, before))


def _stored(db: apsw.Connection, name: str) -> bytes:
    row = fetch_one(db, SQL[name])
    assert row is not None  # noqa: S101 the statement before has just made sure
    return bytes(row[0])
