"""Test the sessions of the dashboard in the store: they are bounded, end at once, and are deleted when they expire."""

from typing import Final

from packhook.core import ids
from packhook.core.audit import Action, AuditEntry
from packhook.core.clock import HOUR
from packhook.core.operator_session import OperatorSession
from packhook.store.base import AuditFilter, Store
from packhook.store.retention import RetentionBatch
from packhook.testing.clock import START
from store.test_portal import sweep
from store.values import ALL, hash_of, new_entry
from support.values import replaced

MOST: Final = 3


async def begun(store: Store, expires_at: int = START + HOUR) -> OperatorSession:
    """Store a session; its cookie's hash is that of its id."""
    made = OperatorSession(id=ids.operator_session_id(), operator_mark=b"mark", created_at=START, expires_at=expires_at)
    await store.dashboard.begin_session(made, hash_of(made.id), _entry(made, Action.OPERATOR_SESSION_OPENED), MOST)
    return made


def _entry(made: OperatorSession, action: Action) -> AuditEntry:
    return replaced(new_entry(), action=action, organization_id="", object_id=made.id)


async def test_a_session_counts_until_it_is_ended(store: Store) -> None:
    """Once, with an audit entry; an unknown one leaves none."""
    made, other = await begun(store), await begun(store)
    assert await store.dashboard.find_session(hash_of(made.id), START) == made
    assert await store.dashboard.find_session(hash_of("unknown"), START) is None
    for _ in range(2):
        await store.dashboard.end_session(hash_of(made.id), _entry(made, Action.OPERATOR_SESSION_ENDED))
    assert await store.dashboard.find_session(hash_of(made.id), START) is None
    assert await store.dashboard.find_session(hash_of(other.id), START) == other
    ended = await store.list_audit(ALL, AuditFilter(action=Action.OPERATOR_SESSION_ENDED))
    assert [entry.object_id for entry in ended.items] == [made.id]


async def test_a_session_expires_and_is_deleted_then(store: Store) -> None:
    """Not a millisecond later."""
    made = await begun(store)
    assert await store.dashboard.find_session(hash_of(made.id), START + HOUR - 1) == made
    assert await store.dashboard.find_session(hash_of(made.id), START + HOUR) is None
    assert await sweep(store, START + HOUR - 1) == RetentionBatch()
    assert await sweep(store, START + HOUR) == RetentionBatch(operator_sessions=1)


async def test_those_that_end_first_make_room(store: Store) -> None:
    """Keep so many as the limit says."""
    made = [await begun(store, START + HOUR + number) for number in (5, 1, 4, 3)]
    left = [session for session in made if await store.dashboard.find_session(hash_of(session.id), START) is not None]
    assert left == [made[0], made[2], made[3]]
