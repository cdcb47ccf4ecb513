"""Test what a store promises about event types: all or none, one change after another, kept, known at once."""

from typing import Final

import pytest
from msgspec import structs

from packhook.core.audit import Action
from packhook.core.errors import Conflict
from packhook.core.event_types import EVENT_CODES
from packhook.core.model import EventType
from packhook.settings import Settings
from packhook.store.base import AuditFilter, Store
from packhook.store.open import open_store
from packhook.testing import ManualClock
from packhook.testing.clock import START
from store.values import ALL, new_entry

LOST: Final = EventType(
    code="parcel.lost",
    description="A parcel was lost — “naïve”",
    schema={"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "weight": {"maximum": 1.5}}},
    example={"id": "prc_1", "note": "\0"},
    subject_pointer="/id",
    reference_pointers=("/number", "/a~1b"),
    created_at=START,
    updated_at=START,
)
FOUND: Final = EventType(code="parcel.found", created_at=START, updated_at=START)


async def test_what_is_saved_is_kept(empty_store: Store, database: str, clock: ManualClock) -> None:
    """Every field, beside the built-in types; known at once, and after the next start. The entries are written too."""
    assert tuple(empty_store.event_types.catalogue.types) == EVENT_CODES
    entries = [new_entry(Action.EVENT_TYPE_CREATED, object_id=found.code) for found in (LOST, FOUND)]
    saved = await empty_store.event_types.save([LOST, FOUND], entries, 0)
    expected = [structs.replace(found, version=1) for found in (FOUND, LOST)]
    assert saved is empty_store.event_types.catalogue
    assert list(saved.types.values())[len(EVENT_CODES) :] == expected
    assert saved.version == 1
    trail = await empty_store.list_audit(ALL, AuditFilter(action=Action.EVENT_TYPE_CREATED))
    assert {entry.object_id for entry in trail.items} == {LOST.code, FOUND.code}
    await empty_store.close()
    again = open_store(Settings(database=database), clock)
    await again.open()
    assert list(again.event_types.catalogue.types.values())[len(EVENT_CODES) :] == expected
    assert (await again.event_types.refresh()).version == 1
    await again.close()


async def test_a_change_is_based_on_what_is_there(store: Store) -> None:
    """One that is based on an older catalogue changes nothing, neither types nor audit trail."""
    await store.event_types.save([LOST], [], 0)
    changed = structs.replace(LOST, description="Lost", archived_at=START + 1, updated_at=START + 1)
    await store.event_types.save([changed], [], 1)
    for based_on in (0, 1, 3):
        entry = new_entry(Action.EVENT_TYPE_UPDATED, object_id="nothing")
        with pytest.raises(Conflict):
            await store.event_types.save([LOST, FOUND], [entry], based_on)
    catalogue = await store.event_types.refresh()
    assert catalogue.types[LOST.code] == structs.replace(changed, version=2)
    assert FOUND.code not in catalogue.types
    assert LOST.code not in catalogue.live
    assert (await store.list_audit(ALL, AuditFilter(action=Action.EVENT_TYPE_UPDATED))).items == ()
