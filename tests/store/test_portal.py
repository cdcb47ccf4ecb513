"""Test portal sessions in the store: a link works once, and both end with what they hang on."""

import asyncio
from typing import Any, Final

import pytest

from packhook.core import ids
from packhook.core.audit import Action, AuditEntry
from packhook.core.clock import HOUR
from packhook.core.errors import NotFound
from packhook.core.portal import Capability, PortalSession
from packhook.store.base import AuditFilter, Store
from packhook.store.retention import RetentionBatch
from packhook.testing.clock import START
from store.values import ACME, ALL, OTHER, api_key, hash_of, new_entry
from support.values import replaced

MOST: Final = 3


def session(organization_id: str = ACME, **fields: Any) -> PortalSession:  # noqa: ANN401 any field
    """Return a link that ends after an hour."""
    made = PortalSession(
        id=ids.portal_session_id(),
        organization_id=organization_id,
        capabilities=(Capability.VIEW, Capability.REPLAY),
        api_key_id="",
        operator_mark=b"mark",
        created_at=START,
        expires_at=START + HOUR,
    )
    return replaced(made, **fields)


def entry_of(made: PortalSession) -> AuditEntry:
    """Return the audit entry of its opening."""
    return replaced(
        new_entry(), action=Action.PORTAL_SESSION_OPENED, organization_id=made.organization_id, object_id=made.id
    )


async def add(store: Store, **fields: Any) -> PortalSession:  # noqa: ANN401 as above
    """Store a link; its token's hash is that of its id."""
    made = session(**fields)
    await store.portal.create(made, hash_of(made.id), new_entry(), MOST)
    return made


async def opened(store: Store, made: PortalSession, name: str = "cookie", now: int = START) -> PortalSession | None:
    """Open a link; the hash of the session's token is that of ``name``."""
    return await store.portal.open(hash_of(made.id), hash_of(name), now, entry_of(made))


async def test_a_link_works_once(store: Store) -> None:
    """It becomes a session, with an audit entry, which can be ended; a second time changes nothing."""
    made = await add(store)
    assert await store.portal.find_link(hash_of(made.id), START) == made
    assert await store.portal.find_session(hash_of("cookie"), START) is None
    after = replaced(made, opened_at=START)
    assert await opened(store, made) == after
    assert await store.portal.find_session(hash_of("cookie"), START) == after
    assert await store.portal.find_link(hash_of(made.id), START) is None
    assert await opened(store, made, "another") is None
    assert await store.portal.find_session(hash_of("another"), START) is None
    entries = (await store.list_audit(ALL, AuditFilter(action=Action.PORTAL_SESSION_OPENED))).items
    assert [item.object_id for item in entries] == [made.id]
    for _ in range(2):
        await store.portal.end(hash_of("cookie"))
    assert await store.portal.find_session(hash_of("cookie"), START) is None


async def test_of_many_who_open_a_link_at_once_one_gets_the_session(store: Store) -> None:
    """However they race."""
    made = await add(store)
    found = await asyncio.gather(*(opened(store, made, f"cookie {number}") for number in range(8)))
    assert len([item for item in found if item is not None]) == 1
    sessions = [await store.portal.find_session(hash_of(f"cookie {number}"), START) for number in range(8)]
    assert [item is not None for item in sessions] == [item is not None for item in found]


async def test_it_ends_when_it_expires(store: Store) -> None:
    """Link and session alike; then retention deletes them."""
    link, session_ = await add(store), await add(store)
    await opened(store, session_)
    assert await store.portal.find_link(hash_of(link.id), START + HOUR - 1) is not None
    assert await store.portal.find_session(hash_of("cookie"), START + HOUR - 1) is not None
    assert await store.portal.find_link(hash_of(link.id), START + HOUR) is None
    assert await store.portal.find_session(hash_of("cookie"), START + HOUR) is None
    assert await opened(store, link, "late", START + HOUR) is None
    assert await sweep(store, START + HOUR - 1) == RetentionBatch()
    assert await sweep(store, START + HOUR, limit=1) == RetentionBatch(portal_sessions=1)
    assert [await sweep(store, START + HOUR) for _ in range(2)] == [RetentionBatch(portal_sessions=1), RetentionBatch()]


async def sweep(store: Store, now: int, limit: int = 100) -> RetentionBatch:
    """Apply retention to nothing but what has expired."""
    return await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=now, limit=limit)


async def test_it_ends_with_the_key_that_made_it(store: Store) -> None:
    """When that is revoked, and when it expires; another key changes nothing."""
    keys = [api_key(), replaced(api_key(), expires_at=START + 10), api_key()]
    for key in keys:
        await store.create_api_key(key, hash_of(key.id), new_entry())
    made = [await add(store, api_key_id=key.id, operator_mark=b"") for key in keys]
    for number, item in enumerate(made):
        assert await opened(store, item, f"cookie {number}") is not None
    await store.revoke_api_key(ACME, keys[0].id, START, new_entry())
    found = [await store.portal.find_session(hash_of(f"cookie {number}"), START + 10) for number in range(3)]
    assert [item is not None for item in found] == [False, False, True]
    unopened = await add(store, api_key_id=keys[2].id, operator_mark=b"")
    await store.revoke_api_key(ACME, keys[2].id, START, new_entry())
    assert await store.portal.find_link(hash_of(unopened.id), START) is None
    assert await opened(store, unopened, "late") is None


async def test_it_ends_with_its_organization(store: Store) -> None:
    """No row is left of it, and none is made any more: nothing is written."""
    made, other = await add(store), await add(store, organization_id=OTHER)
    await store.delete_organization(ACME, START, new_entry())
    assert await store.portal.find_link(hash_of(made.id), START) is None
    assert await store.portal.find_link(hash_of(other.id), START) == other
    before = await store.list_audit(ALL, AuditFilter())
    with pytest.raises(NotFound):
        await add(store)
    assert await store.list_audit(ALL, AuditFilter()) == before
    assert await sweep(store, START + HOUR) == RetentionBatch(portal_sessions=1)


async def test_the_oldest_make_room(store: Store) -> None:
    """An organization has at most so many, also in a race; another one's are left alone."""
    other = await add(store, organization_id=OTHER)
    made = await asyncio.gather(*(add(store) for _ in range(MOST + 2)))
    left = [item for item in made if await store.portal.find_link(hash_of(item.id), START) is not None]
    assert len(left) == MOST
    newest = await add(store)
    assert await store.portal.find_link(hash_of(newest.id), START) == newest
    assert await store.portal.find_link(hash_of(other.id), START) == other
