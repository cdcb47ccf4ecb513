"""Test deliveries of an unverified endpoint: stored, held without an attempt, and released once verified."""

from collections.abc import AsyncIterator

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.model import DeliveryStatus, Webhook
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, Store
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock
from store.values import (
    ACME,
    ALL,
    LEASE,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
    webhook,
)


@pytest.fixture
async def holding(database: str, clock: ManualClock) -> AsyncIterator[Store]:
    """Yield a store that requires endpoint verification, with an organization."""
    opened = open_store(Settings(database=database, require_endpoint_verification=True), clock)
    await opened.open()
    await opened.create_organization(organization(ACME), new_entry())
    yield opened
    await opened.close()


def verified(of: Webhook) -> Webhook:
    """Return the webhook as its verification leaves it."""
    return next_version(of, verification_pending=False, verified_at=START + 5, allowed_rate=2.5)


async def statuses(store: Store) -> list[str]:
    """Return the status of each delivery."""
    return [item.status for item in (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items]


async def test_the_verification_state_comes_back_as_it_was(holding: Store) -> None:
    """It is read after creation and after a change; by the engine too."""
    made = await add_webhook(holding, verification_pending=True)
    assert await holding.get_webhook(ACME, made.id) == made
    await holding.replace_webhook(after := verified(made), new_entry())
    assert await holding.get_webhook(ACME, made.id) == after
    assert (await holding.webhook_states([made.id]))[made.id].webhook == after
    assert await holding.iter_webhooks("", 10) == (after,)


async def test_deliveries_are_stored_and_not_leased(holding: Store) -> None:
    """However much room there is; those of the others are. The receipt counts both."""
    pending, other = await add_webhook(holding, verification_pending=True), await add_webhook(holding)
    engine = FakeDispatcher(slots=100)
    holding.attach(engine)
    receipts = await holding.publish(publication(event(), event()))
    assert [receipt.deliveries for receipt in receipts] == [2, 2]
    assert {leased.webhook_id for leased in engine.enqueued} == {other.id}
    waiting = await holding.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=pending.id))
    assert waiting.items[0].status == "pending"


async def test_nothing_is_claimed_until_verification_and_then_everything(holding: Store) -> None:
    """No attempt counts; a claim asks for no return meanwhile; verification wakes the engine."""
    pending = await add_webhook(holding, verification_pending=True)
    await publish(holding, 3)
    for _ in range(2):
        claimed = await ask(holding, START)
        assert (claimed.deliveries, claimed.backlog, claimed.next_due_at) == ((), frozenset(), None)
    engine = FakeDispatcher()
    holding.attach(engine)
    await holding.replace_webhook(verified(pending), new_entry())
    assert [ids for ids, _ in engine.notified] == [{pending.id}]
    assert engine.changes == [pending.id]
    released = await claim(holding, START)
    assert [(item.webhook_id, item.attempt_count) for item in released] == [(pending.id, 0)] * 3


async def test_a_change_without_verification_releases_nothing(holding: Store) -> None:
    """Enabling does not either."""
    pending = await add_webhook(holding, verification_pending=True)
    await publish(holding)
    for changes in ({"description": "new"}, {"enabled": False}, {"enabled": True}):
        await holding.replace_webhook(pending := next_version(pending, **changes), new_entry())
        assert await claim(holding, START) == ()


async def test_retries_and_replays_wait_for_verification_too(holding: Store) -> None:
    """The endpoint was changed meanwhile."""
    known = await add_webhook(holding)
    await publish(holding)
    leased = await claim_one(holding, START)
    await holding.record([delivered(leased, START)])
    await holding.replace_webhook(
        pending := next_version(known, verification_pending=True, endpoint="https://new.invalid/"), new_entry()
    )
    await holding.retry_delivery(ACME, leased.id, START, new_entry())
    assert await claim(holding, START) == ()
    await holding.replace_webhook(verified(pending), new_entry())
    assert (await claim_one(holding, START)).id == leased.id


async def test_a_leased_delivery_waits_once_its_webhook_is_pending(holding: Store) -> None:
    """The engine releases it, or its lease ends."""
    known = await add_webhook(holding)
    await publish(holding, 2)
    first, _ = await claim(holding, START)
    await holding.replace_webhook(next_version(known, verification_pending=True), new_entry())
    await holding.release([first], START)
    assert await claim(holding, START + LEASE) == ()
    assert sorted(await statuses(holding)) == ["pending", "sending"]


async def test_what_waits_longer_than_retention_is_canceled(holding: Store) -> None:
    """And then its event goes; what waits for others stays."""
    await add_webhook(holding, verification_pending=True)
    await publish(holding)
    at = START + 2 * DAY
    assert await claim(holding, START) == ()
    for before, expected in ((START, ["pending"]), (START + 1, ["canceled"])):
        await holding.apply_retention(events_before=before, keys_before=START, audit_before=START, now=at, limit=100)
        assert (await statuses(holding) or ["canceled"]) == expected


async def test_verification_ends_no_hold_that_the_endpoint_requested(holding: Store) -> None:
    """Only the wait for verification ends: Retry-After still counts."""
    known = await add_webhook(holding)
    await publish(holding)
    later = START + HOUR
    leased = await claim_one(holding, START)
    await holding.record([failed(leased, START, next_attempt_at=START + 1, hold_until=later)])
    await holding.replace_webhook(pending := next_version(known, verification_pending=True), new_entry())
    assert await claim(holding, START + 2) == ()
    await holding.replace_webhook(verified(pending), new_entry())
    assert await claim(holding, later - 1) == ()
    assert (await claim_one(holding, later)).id == leased.id


async def test_without_the_setting_nothing_is_held(store: Store) -> None:
    """Whatever the row says."""
    pending = await add_webhook(store, verification_pending=True)
    engine = FakeDispatcher(slots=1)
    store.attach(engine)
    await publish(store, 2)
    assert [leased.webhook_id for leased in engine.enqueued] == [pending.id]
    assert [leased.webhook_id for leased in await claim(store, START)] == [pending.id]


async def test_turning_the_setting_off_lets_everything_flow_and_turning_it_on_holds_again(
    database: str, clock: ManualClock
) -> None:
    """From the next start on: also what claims had put aside."""
    on, off = (Settings(database=database, require_endpoint_verification=required) for required in (True, False))
    first = open_store(on, clock)
    await first.open()
    await first.create_organization(organization(ACME), new_entry())
    pending = webhook(verification_pending=True)
    await first.create_webhook(pending, new_entry())
    await publish(first)
    assert await claim(first, START) == ()
    await first.close()
    second = open_store(off, clock)
    await second.open()
    leased = await claim_one(second, START)
    assert leased.webhook_id == pending.id
    await second.release([leased], START)
    await second.close()
    third = open_store(on, clock)
    await third.open()
    assert await claim(third, START) == ()
    assert (await third.get_delivery(ACME, leased.id))[0].status is DeliveryStatus.PENDING
    await third.close()
