"""Test claims: they return due deliveries only, each under one lease, in a fair order, with the next due time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.model import DeliveryStatus, LeasedDelivery, Urgency, Webhook
from packhook.store.base import DeliveryFilter, Store
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    ids_of,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
    status_of,
)

LATER = START + 1_000


async def test_a_claimed_delivery_is_all_that_an_attempt_needs(store: Store) -> None:
    """It has the requested lease."""
    to = await add_webhook(store, version=4)
    stored = event(data=b'{"n":1}', created_at=START - 50, trace_context="00-1-2-01\na=b")
    await store.publish(publication(stored))
    leased = await claim_one(store, START)
    assert leased == LeasedDelivery(
        id=leased.id,
        event_id=stored.id,
        webhook_id=to.id,
        webhook_version=4,
        organization_id=ACME,
        event_code="order.created",
        event_created_at=START - 50,
        data=b'{"n":1}',
        attempt_count=0,
        attempts_before=0,
        urgency=Urgency.FIRST,
        lease=leased.lease,
        lease_until=START + LEASE,
        rowid=leased.rowid,
        trace_context="00-1-2-01\na=b",
    )
    assert leased.lease > 0
    assert await status_of(store, leased) is DeliveryStatus.SENDING


async def test_nothing_is_claimed_before_it_is_due(store: Store) -> None:
    """To the millisecond."""
    await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.record([failed(leased, START, next_attempt_at=START + HOUR)])
    assert await claim(store, START + HOUR - 1) == ()
    assert (await claim_one(store, START + HOUR)).id == leased.id


async def test_a_leased_delivery_is_claimed_again_once_its_lease_has_run_out(store: Store) -> None:
    """Not before; then under a lease of its own, with no attempt counted."""
    await add_webhook(store)
    await publish(store)
    first = await claim_one(store, START)
    assert await claim(store, START + LEASE - 1) == ()
    again = await claim_one(store, START + LEASE)
    assert (again.id, again.attempt_count, again.lease_until) == (first.id, 0, START + 2 * LEASE)
    assert again.lease != first.lease


async def test_nothing_is_claimed_twice_by_many_at_once(store: Store) -> None:
    """Many claims run at once."""
    await add_webhook(store)
    await add_webhook(store)
    await publish(store, 50)
    answers = await asyncio.gather(*(ask(store, START, slots=20) for _ in range(10)))
    claimed = [item for answer in answers for item in ids_of(answer.deliveries)]
    assert len(claimed) == len(set(claimed)) == 100


Putting = Callable[[Store, Webhook, LeasedDelivery], Awaitable[object]]


async def _hold(store: Store, to: Webhook, leased: LeasedDelivery) -> None:  # noqa: ARG001 one of several
    await store.record([failed(leased, START, next_attempt_at=START + 1, hold_until=START + DAY)])


async def _disable(store: Store, to: Webhook, leased: LeasedDelivery) -> None:
    await store.release([leased], START)
    await store.replace_webhook(next_version(to, enabled=False), new_entry())


async def _disable_by_verdict(store: Store, to: Webhook, leased: LeasedDelivery) -> None:  # noqa: ARG001 one of several
    await store.record([failed(leased, START, next_attempt_at=START + 1, disable_reason="gone")])


async def _delete(store: Store, to: Webhook, leased: LeasedDelivery) -> None:
    await store.release([leased], START)
    await store.delete_webhook(to.organization_id, to.id, START, new_entry())


async def _delete_organization(store: Store, to: Webhook, leased: LeasedDelivery) -> None:
    await store.release([leased], START)
    await store.delete_organization(to.organization_id, START, new_entry())


@pytest.mark.parametrize(
    "putting",
    [_hold, _disable, _disable_by_verdict, _delete, _delete_organization],
    ids=["held", "disabled", "disabled by a verdict", "deleted", "organization deleted"],
)
async def test_nothing_is_claimed_for_a_webhook_that_may_not_be_sent_to(store: Store, putting: Putting) -> None:
    """Deliveries of other webhooks are claimed as usual, and the claim asks for no earlier return."""
    to = await add_webhook(store)
    await publish(store, 3)
    first, *others = await claim(store, START)
    await store.release(others, START)
    await putting(store, to, first)
    free = await add_webhook(store, OTHER)
    await publish(store, 1, OTHER)
    claimed = await ask(store, START + HOUR, lease_for=2 * DAY)
    assert [item.webhook_id for item in claimed.deliveries] == [free.id]
    assert claimed.backlog == frozenset()
    assert claimed.next_due_at is None or claimed.next_due_at >= START + DAY


async def test_a_hold_ends_by_itself(store: Store) -> None:
    """It ends to the millisecond; a shorter hold does not shorten it."""
    await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    await store.record([failed(first, START, next_attempt_at=LATER, hold_until=START + HOUR)])
    await store.record([failed(second, START, next_attempt_at=LATER, hold_until=START + MINUTE)])
    early = await ask(store, START + HOUR - 1)
    assert (early.deliveries, early.next_due_at) == ((), START + HOUR)
    assert set(ids_of(await claim(store, START + HOUR))) == {first.id, second.id}


@pytest.mark.parametrize("claimed_meanwhile", [False, True])
async def test_what_waited_for_a_disabled_webhook_is_due_when_it_is_enabled(
    store: Store, claimed_meanwhile: bool
) -> None:
    """They are due at once, whether or not a claim found none meanwhile."""
    to = await add_webhook(store)
    await publish(store, 3)
    await store.replace_webhook(disabled := next_version(to, enabled=False), new_entry())
    if claimed_meanwhile:
        assert await claim(store, LATER) == ()
    await store.replace_webhook(next_version(disabled, enabled=True, updated_at=LATER), new_entry())
    assert len(await claim(store, LATER)) == 3


async def test_a_retry_that_was_settled_while_disabled_is_not_forgotten(store: Store) -> None:
    """It was being sent when its webhook was disabled."""
    to = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.replace_webhook(disabled := next_version(to, enabled=False), new_entry())
    await store.record([failed(leased, START, next_attempt_at=LATER)])
    assert await claim(store, LATER) == ()
    await store.replace_webhook(next_version(disabled, enabled=True, updated_at=LATER + 1), new_entry())
    assert ids_of(await claim(store, LATER + 1)) == [leased.id]


@pytest.mark.parametrize(("slots", "least"), [(7, 3), (1, 1)], ids=["for some of each", "for one alone"])
async def test_no_more_is_claimed_than_the_capacity(store: Store, slots: int, least: int) -> None:
    """The rest stays in the backlog, and is due now."""
    hooks = {(await add_webhook(store)).id for _ in range(3)}
    await publish(store, 10)
    claimed = await ask(store, START, slots=slots)
    rest = await ask(store, START)
    assert least <= len(claimed.deliveries) <= slots
    assert claimed.backlog == hooks
    assert claimed.next_due_at is not None
    assert claimed.next_due_at <= START
    assert len(rest.deliveries) == 30 - len(claimed.deliveries)


async def test_no_more_of_one_webhook_is_claimed_than_asked_for(store: Store) -> None:
    """A webhook that has more due is in the backlog; one that has not is not."""
    many, few = await add_webhook(store), await add_webhook(store, OTHER)
    await publish(store, 5)
    await publish(store, 2, OTHER)
    claimed = await ask(store, START, per_lane=3)
    assert Counter(item.webhook_id for item in claimed.deliveries) == {many.id: 3, few.id: 2}
    assert claimed.backlog == {many.id}


async def test_nothing_is_claimed_of_closed_webhooks(store: Store) -> None:
    """The next due time ignores them; their deliveries stay due."""
    closed, free = await add_webhook(store), await add_webhook(store)
    await publish(store, 2)
    claimed = await ask(store, START, closed={closed.id})
    assert {item.webhook_id for item in claimed.deliveries} == {free.id}
    assert claimed.next_due_at == START + LEASE
    assert {item.webhook_id for item in await claim(store, START)} == {closed.id}


async def test_nothing_is_claimed_without_free_bytes(store: Store) -> None:
    """A node whose memory is full of data takes no more, however few deliveries it holds."""
    await add_webhook(store)
    await publish(store)
    assert (await ask(store, START, max_bytes=0)).deliveries == ()
    assert len(await claim(store, START)) == 1


async def test_one_organizations_many_webhooks_do_not_keep_others_waiting(store: Store) -> None:
    """Where there is room for as many deliveries as organizations, each gets one."""
    for _ in range(20):
        await add_webhook(store)
    await publish(store, 20, created_at=START - HOUR)
    for name in ("b", "c"):
        await store.create_organization(organization(name), new_entry())
        await add_webhook(store, name)
        await publish(store, 5, name, created_at=START - 1)
    claimed = await ask(store, START, slots=3)
    assert Counter(item.organization_id for item in claimed.deliveries) == {ACME: 1, "b": 1, "c": 1}


async def test_every_webhook_gets_its_turn(store: Store) -> None:
    """Where there is room for one delivery at a time, those that were served go behind those that were not."""
    lanes = {(await add_webhook(store)).id for _ in range(5)}
    await publish(store, 10)
    served = [(await ask(store, START + turn, slots=1)).deliveries[0].webhook_id for turn in range(1, 6)]
    assert set(served) == lanes


async def test_capacity_is_shared_among_the_webhooks(store: Store) -> None:
    """No backlog, however old, takes all of it."""
    old, new = await add_webhook(store), await add_webhook(store, OTHER)
    await publish(store, 100, created_at=START - HOUR)
    await publish(store, 100, OTHER)
    claimed = await ask(store, START, slots=20)
    assert Counter(item.webhook_id for item in claimed.deliveries) == {old.id: 10, new.id: 10}


async def test_a_lane_is_ordered_by_urgency_and_then_by_age(store: Store) -> None:
    """First attempts, then retries, then replays; in each the oldest first, however late they come."""
    await add_webhook(store)
    old = await publish(store, 4)
    replayed, retried, retried_later, kept = await claim(store, START)
    await store.record([delivered(replayed, START), failed(retried, START, next_attempt_at=START + 5)])
    await store.record([failed(retried_later, START, next_attempt_at=START + 6)])
    await store.release([kept], START + 7)
    await store.retry_delivery(ACME, replayed.id, START + 1, new_entry())
    new = await publish(store, 2, created_at=LATER)
    claimed = await claim(store, LATER)
    expected = [old[3], *new, old[1], old[2], old[0]]
    assert [item.event_id for item in claimed] == [item.id for item in expected]
    assert [item.urgency for item in claimed] == [0, 0, 0, 1, 1, 2]


async def test_the_most_urgent_are_claimed_first_where_there_is_little_room(store: Store) -> None:
    """One at a time, they come in the same order."""
    await add_webhook(store)
    await publish(store, 3)
    replayed, retried, kept = await claim(store, START)
    await store.record([delivered(replayed, START), failed(retried, START, next_attempt_at=START + 1)])
    await store.release([kept], START + 2)
    await store.retry_delivery(ACME, replayed.id, START, new_entry())
    claimed = [(await ask(store, LATER + turn, slots=1, lease_for=DAY)).deliveries[0].id for turn in range(3)]
    assert claimed == [kept.id, retried.id, replayed.id]


async def test_a_retry_that_waits_keeps_nothing_from_being_claimed(store: Store) -> None:
    """Only its own time counts."""
    await add_webhook(store)
    await publish(store, 3)
    waiting = await claim(store, START)
    await store.record([failed(item, START, next_attempt_at=START + DAY) for item in waiting])
    (new,) = await publish(store, created_at=LATER)
    assert (await claim_one(store, LATER)).event_id == new.id


async def test_a_claim_returns_the_next_due_time(store: Store) -> None:
    """It is the earliest retry or end of a lease; without live deliveries there is none."""
    await add_webhook(store)
    await add_webhook(store, OTHER)
    assert (await ask(store, START)).next_due_at is None
    await publish(store)
    await publish(store, 1, OTHER)
    claimed = await ask(store, START, lease_for=HOUR)
    assert (claimed.backlog, claimed.next_due_at) == (frozenset(), START + HOUR)
    first, second = claimed.deliveries
    await store.record([failed(first, START, next_attempt_at=START + SECOND)])
    assert (await ask(store, START)).next_due_at == START + SECOND
    again = await claim_one(store, START + SECOND)
    await store.record([delivered(again, LATER), delivered(second, LATER)])
    assert (await ask(store, START + DAY)).next_due_at is None


async def test_the_next_due_time_ignores_closed_webhooks(store: Store) -> None:
    """This holds for any number of closed webhooks that are due before."""
    closed = {(await add_webhook(store)).id for _ in range(3)}
    await publish(store)
    await add_webhook(store, OTHER)
    await publish(store, 1, OTHER, created_at=START + MINUTE)
    claimed = await ask(store, START, closed=closed)
    assert (claimed.deliveries, claimed.next_due_at) == ((), START + MINUTE)


async def test_many_webhooks_are_all_served_in_the_end(store: Store) -> None:
    """More than one claim looks at."""
    hooks = [(await add_webhook(store)).id for _ in range(700)]
    await publish(store)
    claimed: list[str] = []
    for turn in range(10):
        answer = await ask(store, START + turn, slots=10_000)
        claimed += [item.webhook_id for item in answer.deliveries]
        if len(claimed) >= len(hooks):
            break
        assert answer.next_due_at is not None
        assert answer.next_due_at <= START + turn
    assert sorted(claimed) == hooks


async def test_many_closed_webhooks_do_not_hide_the_others(store: Store) -> None:
    """However long what waits there has waited."""
    closed = {(await add_webhook(store)).id for _ in range(600)}
    await publish(store, created_at=START - HOUR)
    await add_webhook(store, OTHER)
    (expected,) = await publish(store, 1, OTHER)
    assert [item.event_id for item in (await ask(store, START, closed=closed)).deliveries] == [expected.id]


async def test_a_released_delivery_is_due_now_and_no_attempt_is_counted(store: Store) -> None:
    """It is as if it had not been claimed."""
    await add_webhook(store)
    (stored,) = await publish(store)
    leased = await claim_one(store, START)
    await store.release([leased], START + 5)
    (delivery,) = (await store.list_deliveries(ACME, ALL, DeliveryFilter(event_id=stored.id))).items
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.PENDING, 0)
    assert (delivery.next_attempt_at, delivery.updated_at) == (START + 5, START + 5)
    again = await claim_one(store, START + 5)
    assert (again.id, again.urgency, again.attempt_count) == (leased.id, Urgency.FIRST, 0)


async def test_releasing_an_ended_lease_does_nothing(store: Store) -> None:
    """It was settled, or has another lease."""
    await add_webhook(store)
    await publish(store, 2)
    settled, taken_over = await claim(store, START)
    await store.record([delivered(settled, START)])
    (other,) = await claim(store, START + LEASE)
    await store.release([settled, taken_over], START + LEASE)
    await store.release([], START)
    assert await claim(store, START + LEASE) == ()
    assert await store.record([delivered(other, START + LEASE)]) == [True]
    listed = await store.list_deliveries(ACME, ALL, DeliveryFilter(status=DeliveryStatus.DELIVERED))
    assert {item.id for item in listed.items} == {settled.id, other.id}


async def test_what_was_planned_by_a_clock_that_was_ahead_waits_as_long_as_it_was_to(store: Store) -> None:
    """A retry in five seconds, an event that is due at once and a hold: not an hour late. What is right stays."""
    ahead = START + HOUR
    retried, right, held = [await add_webhook(store) for _ in range(3)]
    await publish(store, created_at=ahead)
    by_webhook = {delivery.webhook_id: delivery for delivery in await claim(store, ahead)}
    await store.record([failed(by_webhook[retried.id], ahead, next_attempt_at=ahead + 5 * SECOND)])
    await store.record([failed(by_webhook[right.id], START, next_attempt_at=START + 2 * HOUR)])
    hold = ahead + 10 * SECOND
    await store.record([failed(by_webhook[held.id], ahead, next_attempt_at=hold, hold_until=hold)])
    assert await claim(store, START + MINUTE) == ()
    assert await store.replan(START, HOUR) == 2
    assert await store.replan(START, 0) == 0
    assert [delivery.webhook_id for delivery in await claim(store, START + 6 * SECOND)] == [retried.id]
    assert [delivery.webhook_id for delivery in await claim(store, START + 11 * SECOND)] == [held.id]
    assert right.id in [delivery.webhook_id for delivery in await claim(store, START + 2 * HOUR)]
