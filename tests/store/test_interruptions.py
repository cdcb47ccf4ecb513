"""Test interruptions: a process with a lease died, froze or stopped, so an uncounted attempt may have been made."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from packhook.core.clock import DAY
from packhook.core.model import Interruption, LeasedDelivery
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock
from store.values import (
    ACME,
    LEASE,
    OTHER,
    add_webhook,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    organization,
    publish,
)

LATER = START + LEASE + 1


@pytest.fixture
async def leased(store: Store) -> LeasedDelivery:
    """Return the only delivery, leased for its second attempt."""
    await add_webhook(store)
    await publish(store)
    first = await claim_one(store, START)
    await store.record([failed(first, START, next_attempt_at=START)])
    return await claim_one(store, START)


async def test_a_lease_that_ran_out_leaves_an_interruption(store: Store, leased: LeasedDelivery) -> None:
    """Each expired lease leaves one; the attempt keeps its number, and counts when it is settled."""
    for at in (LATER, 2 * LATER - START):
        again = await claim_one(store, at)
        assert again.attempt_count == 1
    assert await store.interruptions(ACME, leased.id) == (
        Interruption(number=2, noticed_at=LATER),
        Interruption(number=2, noticed_at=2 * LATER - START),
    )
    assert await store.record([delivered(again, 2 * LATER)]) == [True]
    found, attempts = await store.get_delivery(ACME, leased.id)
    assert (found.attempt_count, [item.number for item in attempts]) == (2, [1, 2])


async def _settle(store: Store, leased: LeasedDelivery) -> None:
    await store.record([delivered(leased, START)])


async def _release(store: Store, leased: LeasedDelivery) -> None:
    await store.release([leased], START)
    await claim(store, LATER)


async def _release_after_settling(store: Store, leased: LeasedDelivery) -> None:
    await store.record([delivered(leased, START)])
    await store.release([leased], START, {leased.id})


@pytest.mark.parametrize("ending", [_settle, _release, _release_after_settling])
async def test_a_known_outcome_leaves_no_interruption(
    store: Store, leased: LeasedDelivery, ending: Callable[[Store, LeasedDelivery], Awaitable[None]]
) -> None:
    """The attempt was settled, released unsent, or settled before its release."""
    await ending(store, leased)
    assert await store.interruptions(ACME, leased.id) == ()


async def test_an_aborted_attempt_leaves_an_interruption(store: Store, leased: LeasedDelivery) -> None:
    """Of the released deliveries only those that may have been sent have one."""
    await publish(store)
    other = await claim_one(store, START)
    await store.release([leased, other], START, {leased.id})
    assert await store.interruptions(ACME, leased.id) == (Interruption(number=2, noticed_at=START),)
    assert await store.interruptions(ACME, other.id) == ()


async def test_interruptions_belong_to_their_organization(store: Store, leased: LeasedDelivery) -> None:
    """Another organization sees none, and an unknown delivery has none."""
    await claim(store, LATER)
    assert await store.interruptions(OTHER, leased.id) == ()
    for nothing in ("dlv_1", "with\0a NUL"):
        assert await store.interruptions(ACME, nothing) == ()


async def test_an_interruption_is_deleted_with_its_event(store: Store, leased: LeasedDelivery) -> None:
    """Retention deletes it."""
    again = await claim_one(store, LATER)
    await store.record([delivered(again, LATER)])
    swept = await store.apply_retention(
        events_before=START + DAY, audit_before=0, keys_before=0, now=START + DAY, limit=10
    )
    assert swept.events == 1
    assert await store.interruptions(ACME, leased.id) == ()


async def test_a_process_that_died_leaves_one_on_sqlite(tmp_path: Path) -> None:
    """The next start stores it."""
    database = Settings(database=f"sqlite:///{tmp_path}/packhook.db")
    before = open_store(database, ManualClock())
    await before.open()
    await before.create_organization(organization(ACME), new_entry())
    await add_webhook(before)
    await publish(before)
    leased = await claim_one(before, START)
    await before.close()
    after = open_store(database, ManualClock())
    await after.open()
    assert await after.interruptions(ACME, leased.id) == (Interruption(number=1, noticed_at=START),)
    await claim(after, START)
    assert len(await after.interruptions(ACME, leased.id)) == 1
    await after.close()
