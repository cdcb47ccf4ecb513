"""Test failing webhooks: since when they fail, and that this is reported once before they are disabled."""

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.model import Webhook
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import ACME, add_webhook, claim, delivered, failed, new_entry, next_version, publish

LATER = START + 2 * DAY


async def fail(store: Store, to: Webhook, times: int = 5, *, since: int = START, over: int = DAY) -> None:
    """Record ``times`` failures of this webhook, spread over ``over`` milliseconds."""
    await publish(store, times, event_code=to.event_code, created_at=since)
    leased = await claim(store, since)
    for number, item in enumerate(leased):
        await store.record([failed(item, since + number * over // max(1, times - 1))])


async def succeed(store: Store, to: Webhook, at: int) -> None:
    """Record a success of this webhook."""
    await publish(store, event_code=to.event_code, created_at=at)
    await store.record([delivered(item, at) for item in await claim(store, at)])


async def test_since_when_a_webhook_fails(store: Store) -> None:
    """The state holds the first failure; it is empty for a webhook that succeeds or was never sent to."""
    failing, well, unused = [
        await add_webhook(store, event_code=code) for code in ("order.created", "order.shipped", "order.canceled")
    ]
    await succeed(store, well, START)
    await fail(store, failing, since=START + HOUR)
    asked = [failing.id, well.id, unused.id, "wh_unknown"]
    assert await store.failing_since(asked) == {failing.id: START + HOUR}
    assert await store.failing_since([]) == {}
    await succeed(store, failing, LATER)
    assert await store.failing_since(asked) == {}
    await fail(store, failing, since=LATER + HOUR)
    assert await store.failing_since(asked) == {failing.id: LATER + HOUR}


async def test_a_new_endpoint_and_enabling_clear_the_failure_history(store: Store) -> None:
    """Both clear the failure history; disabling keeps it."""
    hook = await add_webhook(store)
    await fail(store, hook)
    await store.replace_webhook(disabled := next_version(hook, enabled=False), new_entry())
    assert await store.failing_since([hook.id]) == {hook.id: START}
    await store.replace_webhook(enabled := next_version(disabled, enabled=True), new_entry())
    assert await store.failing_since([hook.id]) == {}
    await fail(store, hook, since=LATER)
    await store.replace_webhook(next_version(enabled, endpoint="https://new.packcloud.local/"), new_entry())
    assert await store.failing_since([hook.id]) == {}


async def test_a_failing_webhook_is_reported_once(store: Store) -> None:
    """Later calls return nothing; new failures after a success are reported again, once."""
    hook = await add_webhook(store)
    await fail(store, hook)
    assert await store.warn_failing(failing_for=DAY, now=LATER) == {hook.id: START}
    await fail(store, hook, since=LATER)
    assert await store.warn_failing(failing_for=DAY, now=LATER + DAY) == {}
    await succeed(store, hook, LATER + 2 * DAY)
    assert await store.warn_failing(failing_for=0, now=LATER + 2 * DAY) == {}
    await fail(store, hook, since=LATER + 3 * DAY)
    assert await store.warn_failing(failing_for=DAY, now=LATER + 5 * DAY) == {hook.id: LATER + 3 * DAY}


@pytest.mark.parametrize(("times", "over"), [(4, DAY), (5, DAY - 4)], ids=["not often", "not long"])
async def test_a_failing_webhook_is_not_reported_too_early(store: Store, times: int, over: int) -> None:
    """It takes five failures over the whole period; silence does not count."""
    hook = await add_webhook(store)
    await fail(store, hook, times, over=over)
    assert await store.warn_failing(failing_for=DAY, now=LATER + 10 * DAY) == {}


async def test_a_disabled_or_deleted_webhook_is_not_reported(store: Store) -> None:
    """Nothing is sent to it, so it will not be disabled."""
    off, gone = await add_webhook(store), await add_webhook(store, event_code="order.shipped")
    for hook in (off, gone):
        await fail(store, hook)
    await store.replace_webhook(next_version(off, enabled=False), new_entry())
    await store.delete_webhook(ACME, gone.id, LATER, new_entry())
    assert await store.warn_failing(failing_for=DAY, now=LATER) == {}
