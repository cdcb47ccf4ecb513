"""Test what ends a wait: a retry on request, and changes of the webhook that make all its waiting deliveries due."""

from typing import Any

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.model import LeasedDelivery, Outcome, Policy, Urgency, Webhook
from packhook.core.retry_policy import judge
from packhook.store import leasing
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import (
    ACME,
    FakeDispatcher,
    add_webhook,
    attempt,
    claim,
    claim_one,
    delivered,
    failed,
    ids_of,
    new_entry,
    next_version,
    publish,
)
from support.values import replaced

LATER = START + MINUTE
SCHEDULE = (2 * HOUR, 5 * HOUR, DAY)
POLICY = Policy(retry_schedule=SCHEDULE, jitter=0.0)


async def fail(store: Store, leased: LeasedDelivery, at: int) -> int | None:
    """Record a failure as the sender does; return when the next attempt is planned."""
    verdict = judge(
        Outcome(status_code=500),
        failures_before=leased.attempt_count - leased.attempts_before,
        policy=POLICY,
        now=at,
        gone_since=None,
        chance=0.5,
        planned_at=leased.planned_at,
    )
    await store.record([replaced(failed(leased, at), attempt=attempt(leased, at, status_code=500), verdict=verdict)])
    return verdict.next_attempt_at


async def wait_for_retry(store: Store) -> LeasedDelivery:
    """Return a delivery that failed once and waits for two hours."""
    await publish(store)
    leased = await claim_one(store, START)
    assert await fail(store, leased, START) == START + SCHEDULE[0]
    return leased


async def test_a_waiting_delivery_is_sent_now(store: Store) -> None:
    """It is due, in the urgency that it had; its attempts count on."""
    await add_webhook(store)
    waiting = await wait_for_retry(store)
    assert await claim(store, LATER) == ()
    made = await store.retry_delivery(ACME, waiting.id, LATER, new_entry())
    assert (made.next_attempt_at, made.planned_at) == (LATER, START + SCHEDULE[0])
    again = await claim_one(store, LATER)
    assert (again.id, again.attempt_count, again.urgency) == (waiting.id, 1, Urgency.RETRY)
    await store.record([delivered(again, LATER)])
    assert await claim(store, START + DAY) == ()


async def test_a_failed_retry_on_request_leaves_the_schedule_as_it_was(store: Store) -> None:
    """However often it is asked for, each attempt of the schedule is made when it was planned."""
    await add_webhook(store)
    waiting = await wait_for_retry(store)
    planned_at = START + SCHEDULE[0]
    for turn in range(5):
        await store.retry_delivery(ACME, waiting.id, LATER + turn, new_entry())
        assert await fail(store, await claim_one(store, LATER + turn), LATER + turn) == planned_at
    times = []
    at: int | None = planned_at
    while at is not None:
        times.append(at)
        at = await fail(store, await claim_one(store, at), at)
    assert times == [planned_at, planned_at + SCHEDULE[1], planned_at + SCHEDULE[1] + SCHEDULE[2]]


async def test_the_time_of_the_schedule_may_pass_during_the_attempt(store: Store) -> None:
    """Then the attempt was no step of it, and the same wait begins again."""
    await add_webhook(store)
    waiting = await wait_for_retry(store)
    await store.retry_delivery(ACME, waiting.id, LATER, new_entry())
    late = START + SCHEDULE[0] + 1
    assert await fail(store, await claim_one(store, LATER), late) == late + SCHEDULE[0]


async def test_a_second_request_changes_nothing(store: Store) -> None:
    """Also where an attempt was given back unsent in between."""
    await add_webhook(store)
    waiting = await wait_for_retry(store)
    first = await store.retry_delivery(ACME, waiting.id, LATER, new_entry())
    second = await store.retry_delivery(ACME, waiting.id, LATER + 1, new_entry())
    assert (first.planned_at, first.attempts_before) == (second.planned_at, second.attempts_before)
    await store.release([await claim_one(store, LATER + 1)], LATER + 2)
    await store.retry_delivery(ACME, waiting.id, LATER + 3, new_entry())
    assert await fail(store, await claim_one(store, LATER + 3), LATER + 3) == START + SCHEDULE[0]


async def test_a_first_attempt_that_waits_its_turn_is_due_already(store: Store) -> None:
    """Its place in the lane and its whole schedule stay."""
    await add_webhook(store)
    await publish(store)
    (event,) = await publish(store)
    _, (delivery,) = await store.get_event(ACME, event.id)
    made = await store.retry_delivery(ACME, delivery.id, LATER, new_entry())
    assert (made.next_attempt_at, made.attempts_before, made.planned_at) == (START, 0, None)


async def test_every_node_hears_of_it(store: Store, dispatcher: FakeDispatcher) -> None:
    """It forgets what keeps it from sending to the webhook, and claims."""
    await add_webhook(store)
    waiting = await wait_for_retry(store)
    dispatcher.notified.clear()
    dispatcher.changes.clear()
    await store.retry_delivery(ACME, waiting.id, LATER, new_entry())
    assert dispatcher.changes == [waiting.webhook_id]
    assert dispatcher.notified == [(frozenset({waiting.webhook_id}), LATER)]


def switched(of: Webhook) -> list[Webhook]:
    """Return the versions that disable and enable a webhook."""
    off = next_version(of, enabled=False, updated_at=LATER)
    return [off, next_version(off, enabled=True, updated_at=LATER)]


CHANGES: dict[str, Any] = {
    "enabled": switched,
    "endpoint": lambda of: [next_version(of, endpoint="https://mended.packcloud.local/", updated_at=LATER)],
    "schedule": lambda of: [next_version(of, retry_schedule=(HOUR,), updated_at=LATER)],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_was_mended_is_tried_at_once(store: Store, dispatcher: FakeDispatcher, change: Any) -> None:  # noqa: ANN401 a function
    """Enabling a webhook, another endpoint or another schedule makes its waiting deliveries due."""
    stored, other = await add_webhook(store), await add_webhook(store)
    await publish(store, 3)
    for leased in await claim(store, START):
        await store.record([failed(leased, START, next_attempt_at=START + DAY)])
    for version in change(stored):
        dispatcher.notified.clear()
        await store.replace_webhook(version, new_entry())
    assert dispatcher.notified == [(frozenset({stored.id}), LATER)]
    again = await claim(store, LATER)
    assert [(leased.webhook_id, leased.attempt_count) for leased in again] == [(stored.id, 1)] * 3
    await store.record([failed(leased, LATER, next_attempt_at=LATER + DAY) for leased in again])
    assert await claim(store, LATER + HOUR) == ()  # what failed again keeps its new time
    assert {leased.webhook_id for leased in await claim(store, START + DAY)} == {other.id}


@pytest.mark.parametrize("change", [{"description": "x"}, {"rate_limit": 1.0}, {"enabled": True}], ids=str)
async def test_other_changes_leave_the_waits_as_they_are(store: Store, change: dict[str, Any]) -> None:
    """Nothing else is tried at once."""
    stored = await add_webhook(store)
    await wait_for_retry(store)
    await store.replace_webhook(next_version(stored, **change, updated_at=LATER), new_entry())
    assert await claim(store, LATER) == ()


async def test_many_waits_are_ended_a_few_with_each_claim(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of their times, also where several have the same; no claim does more than its share."""
    for dialect in ("sqlite", "postgres"):
        monkeypatch.setattr(f"packhook.store.{dialect}.claim.EXPEDITED_AT_ONCE", 4)
    monkeypatch.setattr(leasing, "EXPEDITED_AT_ONCE", 4)
    stored = await add_webhook(store)
    await publish(store, 21)
    waiting = await claim(store, START)
    times = [START + DAY + 10 * (number // 6) for number in range(21)]
    await store.record([failed(one, START, next_attempt_at=at) for one, at in zip(waiting, times, strict=True)])
    await store.replace_webhook(next_version(stored, retry_schedule=(HOUR,), updated_at=LATER), new_entry())
    claimed: list[LeasedDelivery] = []
    sizes: list[int] = []
    while len(claimed) < 21:
        some = await claim(store, LATER)
        sizes.append(len(some))
        assert len(some) <= 4, sizes
        await store.record([failed(one, LATER, next_attempt_at=LATER + DAY) for one in some])
        claimed += some
        assert len(sizes) < 30, sizes
    assert sorted(ids_of(claimed)) == sorted(ids_of(waiting))
    assert await claim(store, LATER) == ()


async def test_a_change_while_the_webhook_is_paused_counts_once_it_is_resumed(store: Store) -> None:
    """The waits end then."""
    stored = await add_webhook(store, paused=False)
    await wait_for_retry(store)
    paused = next_version(stored, paused=True, endpoint="https://mended.packcloud.local/", updated_at=LATER)
    await store.replace_webhook(paused, new_entry())
    assert await claim(store, LATER) == ()
    await store.replace_webhook(next_version(paused, paused=False, updated_at=LATER + 1), new_entry())
    assert len(await claim(store, LATER + 1)) == 1
