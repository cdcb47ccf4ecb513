"""Test the counts of attempts: written with the attempts, equal to a recount of them, joined by the hour, deleted."""

import asyncio
import random
from collections.abc import Iterable

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.model import Attempt, AttemptResult, DeliveryStatus, FailureKind, LeasedDelivery
from packhook.core.statistics import KEPT_FOR, LATE_FOR, AttemptCount, bucket_of, classify, summarize
from packhook.store.base import DeliveryFilter, Store
from packhook.testing.clock import START
from store.values import ACME, ALL, LEASE, OTHER, add_webhook, claim, delivered, failed, new_entry, publish
from support.values import replaced

NINE = START - START % DAY + 9 * HOUR
LONG_AGO, FOREVER = START - 400 * DAY, START + 400 * DAY

Totals = dict[tuple[str, int], tuple[int, int, int]]
"""By outcome and latency: attempts, exhausted deliveries, and when the last attempt ended."""


def outcome(leased: LeasedDelivery, at: int, chance: random.Random) -> AttemptResult:
    """Return any result of an attempt that began at ``at``: a success, or a failure of any kind."""
    duration = chance.choice([0, 1, 7, 80, 3_000, 30_000, chance.randrange(30_000)])
    if chance.random() < 0.5:
        result = delivered(leased, at)
    else:
        result = failed(leased, at, next_attempt_at=chance.choice([None, at + 1]))
        kind, status = chance.choice(list(FailureKind)), chance.choice([None, 301, 404, 429, 500])
        result = replaced(result, attempt=replaced(result.attempt, error_code=kind.value, status_code=status))
    return replaced(result, attempt=replaced(result.attempt, duration=duration))


async def totals(store: Store, webhook_id: str | None, *, since: int = LONG_AGO, until: int = FOREVER) -> Totals:
    """Return what the counts of a webhook, or of all, come to."""
    found = await store.attempt_counts(webhook_id, (since,), until)
    return {(item.outcome, item.latency): item[2:] for item in found.get(since, ())}


async def recount(store: Store, *webhook_ids: str | None, since: int = LONG_AGO) -> dict[str | None, Totals]:
    """Return the same for each of these webhooks from the attempts themselves."""
    made = await _attempts(store)
    return {asked: _totals(made, asked, since) for asked in webhook_ids}


def _totals(made: Iterable[tuple[str, Attempt, bool]], webhook_id: str | None, since: int) -> Totals:
    total: Totals = {}
    for made_for, attempt, is_last in made:
        if webhook_id in (None, made_for) and bucket_of(attempt) >= since:
            key = classify(attempt)
            attempts, exhausted, last = total.get(key, (0, 0, 0))
            total[key] = attempts + 1, exhausted + is_last, max(last, attempt.started_at + attempt.duration)
    return total


async def _attempts(store: Store) -> list[tuple[str, Attempt, bool]]:
    """Return all attempts, each with its webhook and whether it was the last of a delivery that is exhausted."""
    found: list[tuple[str, Attempt, bool]] = []
    for name in (ACME, OTHER):
        for item in (await store.list_deliveries(name, ALL, DeliveryFilter())).items:
            delivery, attempts = await store.get_delivery(name, item.id)
            is_exhausted = delivery.status is DeliveryStatus.EXHAUSTED
            found += [(item.webhook_id, made, is_exhausted and made is attempts[-1]) for made in attempts]
    return found


async def add_traffic(store: Store, chance: random.Random, *, rounds: int = 6, over: int = HOUR) -> list[str]:
    """Publish, claim and record over three webhooks, with losses of leases; return the webhooks' ids."""
    hooks = [await add_webhook(store), await add_webhook(store), await add_webhook(store, OTHER)]
    for turn in range(rounds):
        at = START + turn * over // rounds
        await publish(store, 8, created_at=at)
        await publish(store, 8, OTHER, created_at=at)
        leased = list(await claim(store, at, lease_for=1))
        lost = leased[::7]
        again = [item for item in await claim(store, at + 1) if item.id in {item.id for item in lost}]
        chance.shuffle(leased)
        results = [outcome(item, at + chance.randrange(over // rounds), chance) for item in (*leased, *again, *leased)]
        await asyncio.gather(*(store.record(results[begin::3]) for begin in range(3)))
    return [hook.id for hook in hooks]


@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_equal_to_a_recount_of_the_attempts(store: Store, seed: int) -> None:
    """For each webhook and for all, whatever the outcomes; a result whose lease was lost counts nothing."""
    hooks = await add_traffic(store, random.Random(seed))
    for webhook_id, expected in (await recount(store, *hooks, None)).items():
        assert len(expected) > 10
        assert await totals(store, webhook_id) == expected


async def test_an_attempt_counts_in_the_five_minutes_in_which_it_ended(store: Store) -> None:
    """A step has the buckets that begin in it; the first and the last instant of a bucket are in it."""
    hook = await add_webhook(store)
    await publish(store, 3)
    ends = (NINE + 5 * MINUTE - 1, NINE + 5 * MINUTE, NINE + 10 * MINUTE - 1)
    leased = await claim(store, START)
    await store.record([delivered(item, end - 7) for item, end in zip(leased, ends, strict=True)])
    steps = [NINE + number * 5 * MINUTE for number in range(3)]
    found = await store.attempt_counts(hook.id, steps, NINE + HOUR)
    assert found == {
        steps[0]: (AttemptCount("delivered", 8, 1, 0, ends[0]),),
        steps[1]: (AttemptCount("delivered", 8, 2, 0, ends[2]),),
    }
    assert await store.attempt_counts(hook.id, steps[:2], steps[1]) == {steps[0]: found[steps[0]]}
    assert await store.attempt_counts("wh_other", steps, FOREVER) == {}
    assert await store.attempt_counts("\0", steps, FOREVER) == {}


async def run_retention(store: Store, now: int, *, limit: int = 20) -> int:
    """Run retention for the counts until nothing is left to do; return how many rows it took."""
    rows = 0
    while True:
        batch = await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=now, limit=limit)
        if batch.is_done:
            return rows
        rows += batch.statistics


async def test_counts_are_joined_by_the_hour_after_a_day(store: Store) -> None:
    """In batches, with the same sums; what comes late is joined, too; a younger hour keeps its five minutes."""
    hooks = await add_traffic(store, random.Random(1), over=4 * HOUR)
    before = await recount(store, *hooks, None)
    steps = range(NINE, NINE + 5 * HOUR, HOUR)
    by_hour = await store.attempt_counts(hooks[0], steps, FOREVER)
    assert len(by_hour) > 3
    by_minutes = await store.attempt_counts(hooks[0], range(NINE, NINE + HOUR, 5 * MINUTE), NINE + HOUR)
    assert len(by_minutes) > 1
    assert await run_retention(store, NINE + HOUR + DAY - 1) == 0
    assert await run_retention(store, NINE + HOUR + DAY) > 0
    joined = await store.attempt_counts(hooks[0], range(NINE, NINE + HOUR, 5 * MINUTE), NINE + HOUR)
    assert list(joined) == [NINE]
    assert await run_retention(store, NINE + 6 * HOUR + DAY) > 0
    assert sort(await store.attempt_counts(hooks[0], steps, FOREVER)) == sort(by_hour)
    assert {webhook_id: await totals(store, webhook_id) for webhook_id in before} == before
    await publish(store, 1)
    late = (await claim(store, START + 5 * HOUR + LEASE))[0]
    await store.record([delivered(late, NINE + 20 * MINUTE)])
    assert await run_retention(store, NINE + 6 * HOUR + DAY) > 0
    assert {late.webhook_id: await totals(store, late.webhook_id)} == await recount(store, late.webhook_id)


def sort(found: dict[int, tuple[AttemptCount, ...]]) -> dict[int, list[AttemptCount]]:
    """Return counts in an order of their own."""
    return {step: sorted(items) for step, items in found.items()}


async def test_counts_are_kept_for_ninety_days(store: Store) -> None:
    """Then they are deleted, hour by hour, in batches."""
    hooks = await add_traffic(store, random.Random(2), over=4 * HOUR)
    await run_retention(store, NINE + 2 * HOUR + KEPT_FOR)
    left = {webhook_id: await totals(store, webhook_id) for webhook_id in (*hooks, None)}
    assert all(left.values())
    assert left == await recount(store, *hooks, None, since=NINE + 2 * HOUR)
    await run_retention(store, NINE + 5 * HOUR + KEPT_FOR)
    assert [await totals(store, webhook_id) for webhook_id in (*hooks, None)] == [{}, {}, {}, {}]


@pytest.mark.parametrize("what", ["webhook", "organization"])
async def test_the_counts_of_a_deleted_webhook_are_deleted(store: Store, what: str) -> None:
    """Of every age, once nothing more is recorded for it; others keep theirs, and so does the instance."""
    *gone, kept = await add_traffic(store, random.Random(3), over=4 * HOUR)
    everything = await totals(store, None)
    others = await totals(store, kept)
    now = NINE + 2 * HOUR + DAY  # a part of them is joined by then
    if what == "webhook":
        for webhook_id in gone:
            await store.delete_webhook(ACME, webhook_id, now, new_entry())
    else:
        await store.delete_organization(ACME, now, new_entry())
    await run_retention(store, now + LATE_FOR, limit=500)
    assert await totals(store, gone[0])
    await run_retention(store, now + LATE_FOR + 1, limit=500)
    assert [await totals(store, webhook_id) for webhook_id in gone] == [{}, {}]
    assert await totals(store, kept) == others
    assert await totals(store, None) == everything


async def test_a_summary_of_the_counts(store: Store) -> None:
    """It has the rates and percentiles of the attempts."""
    hook = await add_webhook(store)
    await publish(store, 4)
    ok, bad, worse, slow = await claim(store, START)
    await store.record([delivered(ok, START), failed(bad, START), failed(worse, START, next_attempt_at=START + DAY)])
    slow_one = delivered(slow, START)
    await store.record([replaced(slow_one, attempt=replaced(slow_one.attempt, duration=950))])
    found = summarize(START, _items(await store.attempt_counts(hook.id, (START,), START + HOUR)))
    assert (found.attempts, found.delivered, found.exhausted, found.success_rate) == (4, 2, 1, 0.5)
    assert (found.p50, found.p95, found.p99) == (7, 892, 892)
    assert found.last_success_at == START + 950


def _items(found: dict[int, tuple[AttemptCount, ...]]) -> Iterable[AttemptCount]:
    return [item for items in found.values() for item in items]
