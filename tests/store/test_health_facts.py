"""Test what is stored about a webhook's health: failures with their cause, holds, the backlog and its age."""

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.errors import NotFound
from packhook.core.health import FAILURES_TO_FAIL, Backlog, HealthFacts, LastFailure
from packhook.core.model import Webhook
from packhook.core.statistics import LATE_FOR
from packhook.store.base import PageRequest, Store
from packhook.store.statistics import FactsFilter
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    next_version,
    publish,
)
from support.values import replaced

NOTHING = Backlog(count=0, has_more=False, oldest_at=None, next_attempt_at=None)
CAUSE = LastFailure(at=START + 7, code="unsuccessful_status", message="answered 500 Internal Server Error")


def facts_of(hook: Webhook) -> HealthFacts:
    """Return the facts of a webhook that was sent nothing."""
    return HealthFacts(
        id=hook.id,
        organization_id=hook.organization_id,
        event_code=hook.event_code,
        event_codes=hook.event_codes,
        endpoint=hook.endpoint,
        enabled=hook.enabled,
        disabled_reason=hook.disabled_reason,
        verification_pending=hook.verification_pending,
        paused=hook.paused,
        failing_since=None,
        failures=0,
        held_until=0,
        due_since=None,
        last_failure=None,
    )


async def fail(store: Store, times: int, at: int = START) -> None:
    """Let this many deliveries of all webhooks fail for good."""
    await publish(store, times, created_at=at)
    await store.record([failed(item, at) for item in await claim(store, at)])


async def test_the_facts_of_a_webhook(store: Store) -> None:
    """Its own settings; another organization's id, a deleted one's and an unknown one's are not found."""
    hook = await add_webhook(store, verification_pending=True, paused=True)
    assert await store.webhook_health(ACME, hook.id) == facts_of(hook)
    gone = await add_webhook(store)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    for organization, webhook_id in ((OTHER, hook.id), (ACME, gone.id), (ACME, "wh_unknown"), (ACME, "\0")):
        with pytest.raises(NotFound, match="no webhook"):
            await store.webhook_health(organization, webhook_id)


async def test_failures_are_counted_and_the_last_cause_is_kept(store: Store) -> None:
    """A success ends the failures, and the last cause stays; an older result that comes late does not replace it."""
    hook = await add_webhook(store)
    await fail(store, 3)
    found = await store.webhook_health(ACME, hook.id)
    assert (found.failing_since, found.failures, found.last_failure) == (START, 3, CAUSE)
    await publish(store, 2)
    good, late = await claim(store, START)
    await store.record([delivered(good, START + MINUTE)])
    found = await store.webhook_health(ACME, hook.id)
    assert (found.failing_since, found.failures, found.last_failure) == (None, 0, CAUSE)
    await store.record([failed(late, START - HOUR)])
    assert (await store.webhook_health(ACME, hook.id)).last_failure == CAUSE


async def test_the_last_of_a_batch_is_the_last_failure(store: Store) -> None:
    """By its end, whatever the order; of each webhook its own; a character that is no text is replaced."""
    first, second = await add_webhook(store), await add_webhook(store)
    await publish(store, 2)
    leased = await claim(store, START)
    results = []
    for item in leased:
        newest = item in (leased[0], leased[1])
        result = failed(item, START + HOUR * newest)
        message = f"{item.webhook_id} \0 {newest}"
        results.append(replaced(result, attempt=replaced(result.attempt, error_message=message)))
    mine = {item.webhook_id for item in leased[:2]}
    await store.record(results)
    for hook in (first, second):
        cause = (await store.webhook_health(ACME, hook.id)).last_failure
        assert cause is not None
        assert cause.message == f"{hook.id} \N{REPLACEMENT CHARACTER} {hook.id in mine}"


async def test_the_cause_goes_with_the_webhook(store: Store) -> None:
    """Retention deletes it with the counts: no later answer shows it."""
    hook = await add_webhook(store)
    await fail(store, 1)
    await store.delete_webhook(ACME, hook.id, START, new_entry())
    now = START + LATE_FOR + 1
    removed = await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=now, limit=100)
    assert removed.statistics == 1
    assert await store.attempt_counts(hook.id, (START - DAY,), START + DAY) == {}


async def test_a_hold_and_what_is_due(store: Store) -> None:
    """A retry is due at its time, and the endpoint's hold lasts until its own."""
    hook = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.record([failed(leased, START, next_attempt_at=START + HOUR, hold_until=START + 2 * HOUR)])
    await claim(store, START + 1)
    found = await store.webhook_health(ACME, hook.id)
    assert found.held_until == START + 2 * HOUR
    assert found.due_since is not None
    assert START < found.due_since <= START + 2 * HOUR
    assert await store.backlog(ACME, hook.id) == Backlog(
        count=1, has_more=False, oldest_at=START, next_attempt_at=START + HOUR
    )


async def test_a_backlog_is_what_is_not_finished(store: Store, dispatcher: FakeDispatcher) -> None:
    """It waits, is leased directly or by a claim, or waits for its retry; the age is that of the oldest."""
    hook, other = await add_webhook(store), await add_webhook(store, OTHER)
    assert await store.backlog(ACME, hook.id) == NOTHING
    dispatcher.slots = 1
    dispatcher.lease_until = START + DAY
    await publish(store, created_at=START)
    assert len(dispatcher.enqueued) == 1
    dispatcher.slots = 0
    assert await store.backlog(ACME, hook.id) == replaced(NOTHING, count=1, oldest_at=START)
    await publish(store, 3, created_at=START + MINUTE)
    await publish(store, 5, OTHER)
    due = replaced(NOTHING, count=4, oldest_at=START, next_attempt_at=START + MINUTE)
    assert await store.backlog(ACME, hook.id) == due
    mine = [item for item in (await ask(store, START + MINUTE)).deliveries if item.webhook_id == hook.id]
    assert await store.backlog(ACME, hook.id) == replaced(due, next_attempt_at=None)
    await store.record([failed(mine[0], START + MINUTE, next_attempt_at=START + HOUR)])
    await store.record([delivered(mine[1], START + MINUTE), failed(mine[2], START + MINUTE)])
    await store.record([delivered(dispatcher.enqueued[0], START + MINUTE)])
    assert await store.backlog(ACME, hook.id) == Backlog(
        count=1, has_more=False, oldest_at=START + MINUTE, next_attempt_at=START + HOUR
    )
    assert (await store.backlog(OTHER, other.id)).count == 5
    assert await store.backlog(ACME, "wh_unknown") == NOTHING


async def test_a_large_backlog_is_counted_up_to_a_limit(store: Store) -> None:
    """And it says that there is more; the oldest is found although retries are not in the order of their age."""
    hook = await add_webhook(store)
    for number in range(5):
        await publish(store, created_at=START + number)
    found = await store.backlog(ACME, hook.id, limit=5)
    assert (found.count, found.has_more, found.oldest_at) == (5, False, START)
    for item in await claim(store, START + MINUTE):
        (delivery, _) = await store.get_delivery(ACME, item.id)
        again = START + 2 * DAY - (delivery.created_at - START) * HOUR  # the oldest waits longest
        await store.record([failed(item, START + MINUTE, next_attempt_at=again)])
    await publish(store, 4, created_at=START + HOUR)
    found = await store.backlog(ACME, hook.id, limit=5)
    assert (found.count, found.has_more, found.oldest_at) == (5, True, START)
    assert found.next_attempt_at == START + HOUR


async def test_webhooks_of_all_organizations_are_listed(store: Store) -> None:
    """By id, in pages, in both directions, without the deleted ones."""
    hooks = [await add_webhook(store, name) for name in (ACME, OTHER, ACME, OTHER)]
    await store.delete_webhook(ACME, hooks[2].id, START, new_entry())
    expected = [facts_of(hook) for hook in hooks if hook is not hooks[2]]
    page = await store.list_webhook_health(PageRequest(limit=2), FactsFilter())
    assert (list(page.items), page.has_prev, page.has_next) == (expected[:2], False, True)
    page = await store.list_webhook_health(PageRequest(limit=2, anchor=hooks[1].id), FactsFilter())
    assert (list(page.items), page.has_prev, page.has_next) == (expected[2:], True, False)
    page = await store.list_webhook_health(PageRequest(limit=2, anchor=hooks[3].id, backwards=True), FactsFilter())
    assert (list(page.items), page.has_prev) == (expected[:2], False)


async def test_the_webhooks_of_one_organization_are_listed_alone(store: Store) -> None:
    """By id, those that fail too."""
    hooks = [await add_webhook(store, name) for name in (ACME, OTHER, ACME)]
    page = await store.list_webhook_health(ALL, FactsFilter(organization_id=ACME))
    assert [item.id for item in page.items] == [hooks[0].id, hooks[2].id]
    page = await store.list_webhook_health(ALL, FactsFilter(organization_id=OTHER, failing=True))
    assert page.items == ()


async def test_webhooks_that_fail_are_listed_alone(store: Store) -> None:
    """After so many failures in a row; a disabled one too, and none that succeeds again."""
    failing, off, well = [
        await add_webhook(store, event_code=code) for code in ("order.created", "order.shipped", "order.canceled")
    ]
    for hook, times in ((failing, FAILURES_TO_FAIL), (off, FAILURES_TO_FAIL), (well, FAILURES_TO_FAIL - 1)):
        await publish(store, times, event_code=hook.event_code)
    await store.record([failed(item, START) for item in await claim(store, START)])
    await store.replace_webhook(next_version(off, enabled=False), new_entry())
    found = await store.list_webhook_health(ALL, FactsFilter(failing=True))
    assert [(item.id, item.failures, item.enabled) for item in found.items] == [
        (failing.id, FAILURES_TO_FAIL, True),
        (off.id, FAILURES_TO_FAIL, False),
    ]
    page = await store.list_webhook_health(PageRequest(limit=1, anchor=failing.id), FactsFilter(failing=True))
    assert [item.id for item in page.items] == [off.id]
