"""Test maintenance: old data is removed after its retention, and webhooks that fail for days are disabled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, cast

import pytest
from node_fixture import (
    ACME,
    BY,
    CANCELED,
    DATA,
    DELIVERED,
    EXHAUSTED,
    PENDING,
    SENDING,
    LocalNode,
    idle_node,
)
from structlog.testing import capture_logs

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND, to_rfc3339
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Attempt, AttemptResult, LeasedDelivery, Verdict, Webhook
from packhook.core.subject import NOTHING
from packhook.delivery.maintenance import BATCH_SIZE, Maintenance
from packhook.service.publish import PublishKey, RawEvent
from packhook.store.base import AuditFilter, ClaimRequest, PageRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.testing import ManualClock

RETENTION: Final = 3 * DAY
DISABLE_AFTER: Final = 5 * DAY
CODE_WITHOUT_WEBHOOK: Final = "order.shipped"


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the test."""
    return ManualClock()


@pytest.fixture
async def node(tmp_path: Path, clock: ManualClock) -> AsyncIterator[LocalNode]:
    """Build a node that does not run."""
    async with idle_node(tmp_path, clock=clock, retention="3d") as made:
        yield made


def maintenance(node: LocalNode, **changes: object) -> Maintenance:
    """Return the maintenance of this node."""
    return Maintenance(cast("Store", node.store), node.settings.model_copy(update=changes), node.clock)


async def take(node: LocalNode) -> tuple[LeasedDelivery, ...]:
    """Claim all that is due, for a minute."""
    now = node.clock.now()
    capacity = Capacity(lease=now, lease_until=now + MINUTE, slots=1_000, max_bytes=1 << 30, excluded=())
    return (await node.store.claim(ClaimRequest(now=now, capacity=capacity, per_lane=1_000))).deliveries


def settled(delivery: LeasedDelivery, verdict: Verdict, at: int) -> AttemptResult:
    """Return the result of one attempt."""
    made = Attempt(
        number=delivery.attempt_count + 1, started_at=at, duration=0, url="https://shop.example/", request_headers="{}"
    )
    return AttemptResult(delivery=delivery, attempt=made, verdict=verdict)


async def end_all(node: LocalNode, verdict: Verdict) -> int:
    """End one attempt of all that is due with this verdict; return how many."""
    due = await take(node)
    await node.store.record([settled(delivery, verdict, node.clock.now()) for delivery in due])
    return len(due)


async def fail(node: LocalNode, times: int, every: int = SECOND) -> None:
    """Fail an event of the only webhook so many times, so far apart."""
    for _ in range(times):
        await node.publish()
        await end_all(node, Verdict(status=EXHAUSTED))
        assert isinstance(node.clock, ManualClock)
        node.clock.advance(every)


async def test_a_finished_event_is_removed_with_its_deliveries(node: LocalNode, clock: ManualClock) -> None:
    """Event, delivery and attempts, once the event is older than the retention."""
    await node.webhook("https://shop.example/")
    (event_id,) = await node.publish()
    await end_all(node, Verdict(status=DELIVERED))
    delivery = (await node.detail(event_id)).delivery
    clock.advance(RETENTION)
    await maintenance(node).run_once()
    assert len((await node.detail(event_id)).attempts) == 1, "to the last moment of its time it stays"
    clock.advance(1)
    await maintenance(node).run_once()
    with pytest.raises(NotFound):
        await node.deliveries(event_id)
    with pytest.raises(NotFound):
        await node.service.history.delivery(ACME, delivery.id)


@pytest.mark.parametrize("leased", [False, True])
async def test_an_unfinished_event_stays(node: LocalNode, clock: ManualClock, leased: bool) -> None:
    """However old it is, waiting or in flight: retention never loses an event."""
    await node.webhook("https://shop.example/")
    (event_id,) = await node.publish()
    if leased:
        assert len(await take(node)) == 1
    clock.advance(10 * RETENTION)
    await maintenance(node).run_once()
    assert (await node.detail(event_id)).delivery.status is (SENDING if leased else PENDING)


async def test_old_events_are_removed_in_batches(node: LocalNode, clock: ManualClock) -> None:
    """Several batches run in one round; each is logged, and none is empty."""
    await node.publish(BATCH_SIZE + 100, code=CODE_WITHOUT_WEBHOOK)
    clock.advance(RETENTION + 1)
    (young,) = await node.publish(code=CODE_WITHOUT_WEBHOOK)
    with capture_logs() as lines:
        await maintenance(node).run_once()
    seen = [(line["event"], line["events"]) for line in lines]
    assert seen == [("retention_run", BATCH_SIZE), ("retention_run", 100)]
    assert await events(node) == [young]


async def test_a_clock_that_is_set_forward_deletes_nothing_for_a_day(node: LocalNode, clock: ManualClock) -> None:
    """Say it once. Set back in time, nothing was lost; after a day the clock is believed."""
    published = await node.publish(code=CODE_WITHOUT_WEBHOOK)
    running = maintenance(node)
    with capture_logs() as lines:
        clock.set_forward(2 * RETENTION)
        await running.run_once()
        clock.set_forward(-2 * RETENTION)
        await running.run_once()
        assert await events(node) == published
        clock.set_forward(2 * RETENTION)
        for passed in (0, DAY - 1, 1):
            clock.advance(passed)
            await running.run_once()
    assert [line["event"] for line in lines] == ["clock_set_forward", "clock_set_forward", "retention_run"]
    assert await events(node) == []


async def events(node: LocalNode) -> list[str]:
    """Return the ids of the organization's events."""
    return [event.id for event in (await node.service.history.events(ACME, PageRequest(limit=1_000))).items]


async def test_an_idempotency_key_is_valid_for_a_day(node: LocalNode, clock: ManualClock) -> None:
    """Within it the same response or a conflict; after it the key is free again, and removed."""

    async def publish(fingerprint: bytes) -> str:
        event, key = RawEvent(CODE_WITHOUT_WEBHOOK, DATA, NOTHING), PublishKey("key-1", fingerprint)
        return (await node.service.publisher.publish_once(ACME, [event], key)).receipts[0].id

    first = await publish(b"one")
    clock.advance(DAY)
    await maintenance(node).run_once()
    assert await publish(b"one") == first
    with pytest.raises(Conflict):
        await publish(b"two")
    clock.advance(1)
    with capture_logs() as lines:
        await maintenance(node).run_once()
    assert [(line["event"], line["idempotency_keys"]) for line in lines] == [("retention_run", 1)]
    assert await publish(b"two") != first


async def test_the_audit_trail_has_its_own_retention(node: LocalNode, clock: ManualClock) -> None:
    """It is kept longer than events; newer entries stay."""
    clock.advance(10 * RETENTION)
    failing = await node.webhook("https://shop.example/")
    caring = maintenance(node, audit_retention=10 * RETENTION)
    await caring.run_once()
    assert len(await actions(node)) == 3, "to the last moment of its time it stays"
    clock.advance(1)
    with capture_logs() as lines:
        await caring.run_once()
    assert [(line["event"], line["audit_entries"]) for line in lines] == [("retention_run", 2)]
    assert await actions(node) == [("webhook.created", failing.id)]


async def actions(node: LocalNode) -> list[tuple[str, str]]:
    """Return the actions in the audit trail, newest first."""
    found = await node.store.list_audit(PageRequest(limit=100), AuditFilter())
    return [(entry.action.value, entry.object_id) for entry in found.items]


async def test_pending_deliveries_of_a_deleted_webhook_are_canceled(node: LocalNode) -> None:
    """They are listed as canceled, not lost; another webhook's deliveries stay."""
    deleted = await node.webhook("https://shop.example/deleted")
    (event_id,) = await node.publish()
    await node.webhook("https://shop.example/kept")
    (later,) = await node.publish()
    await node.service.webhooks.delete(ACME, deleted.id, BY)
    await maintenance(node).run_once()
    assert [delivery.status for delivery in await node.deliveries(event_id)] == [CANCELED]
    assert {delivery.webhook_id == deleted.id: delivery.status for delivery in await node.deliveries(later)} == {
        True: CANCELED,
        False: PENDING,
    }


async def test_a_webhook_that_fails_for_days_is_disabled_with_a_reason(node: LocalNode, clock: ManualClock) -> None:
    """Ten failures and five days without a success: it is disabled, and it and the log have the reason."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 9)
    clock.advance(DISABLE_AFTER)
    await fail(node, 1)
    with capture_logs() as lines:
        await maintenance(node).run_once()
    after = await node.service.webhooks.get(ACME, failing.id)
    assert (after.enabled, after.disabled_reason) == (False, "no delivery has succeeded for 5 days")
    assert after.version == failing.version + 1
    assert [line["webhook_id"] for line in lines if line["event"] == "webhook_disabled"] == [failing.id]


@pytest.mark.parametrize(
    ("disable_after", "words"),
    [(5 * DAY, "5 days"), (DAY + DAY // 2, "1.5 days"), (90 * SECOND, "90 seconds"), (12 * HOUR, "43200 seconds")],
)
async def test_the_reason_names_the_time(node: LocalNode, clock: ManualClock, disable_after: int, words: str) -> None:
    """In days, or in seconds if it is less than one."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 9)
    clock.advance(disable_after)
    await fail(node, 1)
    await maintenance(node, disable_after=disable_after).run_once()
    reason = (await node.service.webhooks.get(ACME, failing.id)).disabled_reason
    assert reason == f"no delivery has succeeded for {words}"


async def test_a_webhook_that_will_be_disabled_is_warned_of_once(node: LocalNode, clock: ManualClock) -> None:
    """Halfway there, with both times; not in each round, and not again after a restart."""
    failing = await node.webhook("https://shop.example/")
    since = clock.now()
    with capture_logs() as early:
        await fail(node, 4)
        clock.advance(DISABLE_AFTER // 2 - 4 * SECOND)
        await maintenance(node).run_once()
    await fail(node, 1)
    with capture_logs() as lines:
        for _ in range(3):
            await maintenance(node).run_once()
            await fail(node, 1)
    assert [line["event"] for line in early if line["event"] != "retention_run"] == []
    assert lines == [
        {
            "event": "webhook_failing",
            "log_level": "warning",
            "webhook_id": failing.id,
            "failing_since": to_rfc3339(since),
            "disables_at": to_rfc3339(since + DISABLE_AFTER),
            "detail": "unless a delivery succeeds it will be disabled",
        }
    ]


async def test_a_webhook_that_is_disabled_at_once_is_not_warned_of(node: LocalNode, clock: ManualClock) -> None:
    """Its last failures came together after a long silence, so only the disabling is logged."""
    await node.webhook("https://shop.example/")
    await fail(node, 4)
    clock.advance(DISABLE_AFTER)
    await fail(node, 6)
    with capture_logs() as lines:
        await maintenance(node).run_once()
    assert [line["event"] for line in lines if line["event"] != "retention_run"] == ["webhook_disabled"]


async def still_enabled(node: LocalNode, webhook: Webhook) -> bool:
    """Return True if maintenance does not disable it."""
    await maintenance(node).run_once()
    return (await node.service.webhooks.get(ACME, webhook.id)).enabled


async def test_nine_failures_do_not_disable(node: LocalNode, clock: ManualClock) -> None:
    """However long ago: a webhook with few events is not disabled too early."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 9)
    clock.advance(10 * DISABLE_AFTER)
    assert await still_enabled(node, failing)


async def test_failures_within_five_days_do_not_disable(node: LocalNode, clock: ManualClock) -> None:
    """However many."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 50)
    clock.advance(DISABLE_AFTER - 50 * SECOND)
    assert await still_enabled(node, failing)


async def test_silence_does_not_disable(node: LocalNode, clock: ManualClock) -> None:
    """Ten failures in a bad minute, and then nothing to send for a month."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 10)
    clock.advance(30 * DAY)
    assert await still_enabled(node, failing)


async def test_one_success_restarts_the_time(node: LocalNode, clock: ManualClock) -> None:
    """The five days count from the first failure after it."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 20)
    clock.advance(DISABLE_AFTER)
    await node.publish()
    await end_all(node, Verdict(status=DELIVERED))
    await fail(node, 20)
    assert await still_enabled(node, failing)


async def test_enabling_a_webhook_restarts_the_time(node: LocalNode, clock: ManualClock) -> None:
    """Its recorded failures are forgotten."""
    failing = await node.webhook("https://shop.example/")
    await fail(node, 9)
    clock.advance(DISABLE_AFTER)
    await fail(node, 1)
    assert not await still_enabled(node, failing)
    after = await node.change(failing, enabled=True)
    assert (after.enabled, after.disabled_reason) == (True, "")
    await fail(node, 1)
    assert await still_enabled(node, failing)


async def test_maintenance_continues_while_the_database_is_away(node: LocalNode) -> None:
    """A failed round is logged and repeated; a stop ends it at once."""
    node.store.away = {"disable_failing"}
    caring = maintenance(node)
    with capture_logs() as lines:
        running = asyncio.create_task(caring.run())
        await node.store.until(lambda: node.store.refused == ["disable_failing"])
        caring.stop()
        async with asyncio.timeout(5):
            await running
    assert [(line["event"], line["detail"]) for line in lines] == [("maintenance_failed", "the database is away")]


async def test_a_stop_does_not_wait_for_the_last_batch(node: LocalNode, clock: ManualClock) -> None:
    """The current batch is the last."""
    await node.publish(BATCH_SIZE + 1, code=CODE_WITHOUT_WEBHOOK)
    clock.advance(RETENTION + 1)
    caring = maintenance(node)
    caring.stop()
    await caring.run()
    assert len(await events(node)) == BATCH_SIZE + 1
