"""Deliver an event on one node through failing receivers, changed webhooks, faults, stops and restarts."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import pytest
from node_fixture import (
    ACME,
    BY,
    CANCELED,
    CODE,
    DELIVERED,
    EXHAUSTED,
    OTHER,
    PENDING,
    SECRET,
    SENDING,
    Gate,
    LocalNode,
    idle_node,
    local_node,
)
from structlog.testing import capture_logs

from packhook.core.clock import MINUTE, SECOND
from packhook.core.model import Request
from packhook.delivery import recorder
from packhook.delivery.circuit_breaker import FAILURES_TO_OPEN
from packhook.delivery.http.client import Callback, InFlight, Transport
from packhook.delivery.maintenance import Maintenance
from packhook.store.base import ClaimRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.testing import Hang, ManualClock, Received, Receiver, Status

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])  # what a node runs on

LATE: Final = 15.0
SOON: Final = 2.5  # long before the slow poll


def ids(received: Sequence[Received]) -> list[str]:
    """Return the ids of the events that arrived, in order."""
    return [request.headers["webhook-id"] for request in received]


# --- the schedule


async def test_a_delivery_is_retried_by_the_schedule_until_it_is_delivered(tmp_path: Path) -> None:
    """500, 500, 200: never before its time, with the same id and bytes, and a new time and signature."""
    clock = ManualClock()
    async with (
        Receiver(secrets=(SECRET,)) as receiver,
        local_node(tmp_path, clock=clock, retry_schedule="5s,5m") as node,
    ):
        receiver.answers(Status(500), Status(500), Status(200))
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        for number, wait in ((1, 5 * SECOND), (2, 5 * MINUTE)):
            due_at = (await node.becomes(event_id, PENDING, attempts=number)).delivery.next_attempt_at
            assert due_at is not None
            assert 0.8 * wait <= due_at - clock.now() <= 1.2 * wait + SECOND
            assert (await node.advance(due_at - clock.now() - 1)).deliveries == ()
            assert [delivery.event_id for delivery in (await node.advance(1)).deliveries] == [event_id]
        detail = await node.becomes(event_id, DELIVERED)
        assert [(attempt.number, attempt.status_code) for attempt in detail.attempts] == [(1, 500), (2, 500), (3, 200)]
        assert (detail.delivery.attempt_count, detail.delivery.next_attempt_at, detail.schedule) == (3, None, ())
        assert [request.headers["webhook-attempt"] for request in receiver.received] == ["1", "2", "3"]
        assert len({(request.headers["webhook-id"], request.body) for request in receiver.received}) == 1
        assert len({request.headers["webhook-signature"] for request in receiver.received}) == 3
        assert all(request.verified for request in receiver.received)


async def test_after_the_last_attempt_a_delivery_is_exhausted_and_can_be_replayed(tmp_path: Path) -> None:
    """A replay restarts the schedule; attempt numbers and the log continue."""
    async with Receiver(Status(500)) as receiver, local_node(tmp_path, retry_schedule="10ms,10ms") as node:
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        async with asyncio.timeout(SOON):  # it is come for when it is due, not at the next poll
            detail = await node.becomes(event_id, EXHAUSTED)
        assert len(detail.attempts) == len(receiver.received) == 3
        receiver.answers(Status(500), Status(200))
        await node.service.retries.retry(ACME, detail.delivery.id, BY)
        detail = await node.becomes(event_id, DELIVERED)
        assert [(attempt.number, attempt.status_code) for attempt in detail.attempts] == [
            (1, 500),
            (2, 500),
            (3, 500),
            (4, 500),
            (5, 200),
        ]


async def test_gone_twice_a_minute_apart_disables_the_webhook(tmp_path: Path) -> None:
    """One 410, or two within the minute, do not; the webhook has the reason, and every delivery is kept."""
    clock = ManualClock()
    async with (
        Receiver(Status(410)) as receiver,
        local_node(tmp_path, clock=clock, retry_schedule="1s,1s,1s,1s") as node,
    ):
        gone = await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        for number, wait in ((1, 30 * SECOND), (2, MINUTE)):
            await node.becomes(event_id, PENDING, attempts=number)
            assert (await node.service.webhooks.get(ACME, gone.id)).enabled
            await node.advance(wait)
        detail = await node.becomes(event_id, PENDING, attempts=3)
        after = await node.service.webhooks.get(ACME, gone.id)
        assert (after.enabled, after.version) == (False, gone.version + 1)
        assert after.disabled_reason == "the endpoint answered 410 Gone more than once, at least a minute apart"
        assert (await node.advance(10 * MINUTE)).deliveries == ()
        assert len(detail.attempts) == len(receiver.received) == 3


# --- a webhook changes while its deliveries wait


async def test_a_changed_webhook_is_sent_to_its_new_url_with_its_new_secret(tmp_path: Path) -> None:
    """Deliveries that wait for a retry use them too; the log keeps the URL of each attempt."""
    clock, secret = ManualClock(), "another-secret"
    async with (
        Receiver(Status(500), secrets=(SECRET,)) as before,
        Receiver(secrets=(secret,)) as after,
        local_node(tmp_path, clock=clock, retry_schedule="5s") as node,
    ):
        moved = await node.webhook(f"{before.url}/old")
        (event_id,) = await node.publish()
        await node.becomes(event_id, PENDING, attempts=1)
        await node.change(moved, endpoint=f"{after.url}/new", secret=secret, headers={"x-shop": "7"})
        await node.advance(MINUTE)
        detail = await node.becomes(event_id, DELIVERED)
        assert [attempt.url for attempt in detail.attempts] == [f"{before.url}/old", f"{after.url}/new"]
        assert [request.verified for request in (*before.received, *after.received)] == [True, True]
        assert after.received[0].headers["x-shop"] == "7"


async def test_queued_deliveries_are_sent_to_the_changed_webhook_too(tmp_path: Path) -> None:
    """They were queued before the change and are sent after it."""
    gate = Gate()
    async with Receiver(gate) as before, Receiver() as after, local_node(tmp_path, max_in_flight_per_webhook=1) as node:
        moved = await node.webhook(before.url)
        first, second = await node.publish(2)
        await before.wait_for(1, LATE)
        await node.change(moved, endpoint=after.url)
        gate.open()
        await after.wait_for(1, LATE)
        assert (ids(before.received) + ids(after.received)) in ([first, second], [second, first])


@pytest.mark.parametrize(
    ("off", "on"), [({"enabled": False}, {"enabled": True}), ({"paused": True}, {"paused": False})], ids=str
)
async def test_a_disabled_or_paused_webhook_gets_nothing_and_loses_nothing(
    tmp_path: Path, off: dict[str, bool], on: dict[str, bool]
) -> None:
    """Queued or waiting for a retry: kept, with no attempt counted; all is sent once it is enabled or resumed."""
    gate, clock = Gate(Status(500)), ManualClock()
    async with (
        Receiver() as receiver,
        local_node(tmp_path, clock=clock, max_in_flight_per_webhook=1, retry_schedule="5s,5s") as node,
    ):
        receiver.answers(gate)
        created = await node.webhook(receiver.url)
        published = await node.publish(5)
        await receiver.wait_for(1, LATE)
        stopped = await node.change(created, **off)
        gate.open()
        await node.store.until(lambda: len(node.store.recorded) == 1 and len(node.store.released) == 4)
        assert (await node.advance(MINUTE)).deliveries == ()
        details = [await node.detail(event_id) for event_id in published]
        assert {detail.delivery.status for detail in details} == {PENDING}
        assert sorted(detail.delivery.attempt_count for detail in details) == [0, 0, 0, 0, 1]
        assert len(receiver.received) == 1
        await node.change(stopped, **on)
        await node.store.until(lambda: len(node.store.recorded) == 6)
        details = [await node.detail(event_id) for event_id in published]
        assert {detail.delivery.status for detail in details} == {DELIVERED}
        assert sorted(detail.delivery.attempt_count for detail in details) == [1, 1, 1, 1, 2]


async def test_a_retry_on_request_ends_what_the_circuit_breaker_holds(tmp_path: Path) -> None:
    """Sent now, although the endpoint failed so often that nothing would be sent yet: the clock stands still."""
    clock = ManualClock()
    async with Receiver() as receiver, local_node(tmp_path, clock=clock, retry_schedule="1h") as node:
        receiver.answers(*[Status(500)] * FAILURES_TO_OPEN)
        await node.webhook(receiver.url)
        published = await node.publish(FAILURES_TO_OPEN)
        await node.store.until(lambda: len(node.store.recorded) == FAILURES_TO_OPEN)
        (held,) = await node.publish(1)
        detail = await node.becomes(published[0], PENDING, attempts=1)
        await node.service.retries.retry(ACME, detail.delivery.id, BY)
        await node.becomes(published[0], DELIVERED)
        await node.becomes(held, DELIVERED)


@pytest.mark.parametrize("what", ["webhook", "organization"])
async def test_pending_deliveries_of_a_deleted_webhook_are_canceled(tmp_path: Path, what: str) -> None:
    """Queued or waiting; the attempt in flight may end, and its result is in the log."""
    gate = Gate(Status(500))
    async with (
        Receiver(gate) as receiver,
        local_node(tmp_path, max_in_flight_per_webhook=1, retry_schedule="1h") as node,
    ):
        deleted = await node.webhook(receiver.url)
        await node.publish(3)
        await receiver.wait_for(1, LATE)
        if what == "webhook":
            await node.service.webhooks.delete(ACME, deleted.id, BY)
        else:
            await node.service.organizations.delete(ACME, BY)
        gate.open()
        await node.store.until(lambda: len(node.store.recorded) == 1 and len(node.store.released) == 2)
        await Maintenance(cast("Store", node.store), node.settings, node.clock).run_once()
        assert len(receiver.received) == 1
        if what == "webhook":
            detail = await node.detail(ids(receiver.received)[0])
            assert (detail.delivery.status, len(detail.attempts)) == (CANCELED, 1)
        assert (await node.store.claim_once(node.clock.now())).deliveries == ()


# --- faults of our own


class FaultyClient:
    """Raise for the first so many requests, then use the real client."""

    def __init__(self, wire: Transport, times: int) -> None:
        self._wire = wire
        self._left = times

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Raise, or send."""
        if self._left > 0:
            self._left -= 1
            raise ZeroDivisionError("an unexpected fault")
        return self._wire.post(request, callback)


async def test_an_exception_in_an_attempt_ends_inside_it(tmp_path: Path) -> None:
    """It is logged; the delivery is sent later, no attempt is counted, and no other delivery is affected."""
    with capture_logs() as lines:
        async with (
            Receiver() as receiver,
            local_node(tmp_path, wire_seam=lambda wire: FaultyClient(wire, 3)) as node,
        ):
            await node.webhook(receiver.url)
            published = await node.publish(10)
            await node.store.until(lambda: len(node.store.recorded) == 10)
            assert Counter(ids(receiver.received)) == Counter(published)
            details = [await node.detail(event_id) for event_id in published]
            assert {(detail.delivery.status, detail.delivery.attempt_count) for detail in details} == {(DELIVERED, 1)}
    broken = [line for line in lines if line["event"] == "attempt_crashed"]
    assert [(line["log_level"], type(line["exc_info"])) for line in broken] == [("error", ZeroDivisionError)] * 3


@pytest.mark.parametrize(
    "away", [{"record"}, {"webhook_states"}, {"claim"}, {"release"}, {"record", "claim", "webhook_states"}]
)
async def test_a_database_that_is_away_for_a_moment_loses_nothing(tmp_path: Path, away: set[str]) -> None:
    """Whichever call fails, all events arrive when it is back, and each attempt is counted once."""
    async with (
        Receiver() as receiver,
        local_node(tmp_path, max_queued_deliveries=5, max_in_flight_per_webhook=1) as node,
    ):
        await node.webhook(receiver.url)
        node.store.away = set(away)
        published = await node.publish(20)
        if away == {"release"}:
            await receiver.wait_for(1, LATE)
        else:
            await node.store.until(
                lambda: set(node.store.refused) >= away & {"record", "webhook_states", "claim"} - spared(away)
            )
        node.store.away.clear()
        await node.store.until(lambda: len(node.store.recorded) == 20)
        assert Counter(ids(receiver.received)) == Counter(published)
        details = [await node.detail(event_id) for event_id in published]
        assert {(detail.delivery.status, detail.delivery.attempt_count) for detail in details} == {(DELIVERED, 1)}


async def test_results_that_cannot_be_recorded_take_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending pauses once they fill half of the limit, and resumes when the database is back; each is sent once."""
    monkeypatch.setattr(recorder, "MAX_UNRECORDED_BYTES", 8 * 64 * 1024)
    answer = Status(200, body=b"x" * 64 * 1024)
    with capture_logs() as lines:
        async with (
            Receiver(answer) as receiver,
            local_node(tmp_path, max_in_flight_per_webhook=4, max_in_flight=8) as node,
        ):
            await node.webhook(receiver.url)
            node.store.away = {"record"}
            published = await node.publish(40)
            await receiver.wait_for(4, LATE)
            await node.store.until(lambda: node.store.refused.count("record") >= 4)
            assert len(receiver.received) <= 4 + 8
            node.store.away.clear()
            await node.store.until(lambda: len(node.store.recorded) == 40)
            assert Counter(ids(receiver.received)) == Counter(published)
    assert "sending_paused" in {line["event"] for line in lines}


def spared(away: set[str]) -> set[str]:
    """Return the calls that are not made any more once another call was refused."""
    return {"record"} if "webhook_states" in away else set()


async def test_a_stale_lease_records_nothing(tmp_path: Path) -> None:
    """A result after the end of its lease is ignored and logged; the node with the new lease records its own."""
    clock, gate = ManualClock(), Gate()
    with capture_logs() as lines:
        async with Receiver(gate) as receiver, local_node(tmp_path, clock=clock) as node:
            await node.webhook(receiver.url)
            (event_id,) = await node.publish()
            await receiver.wait_for(1, LATE)
            now = clock.advance(2 * MINUTE)
            capacity = Capacity(lease=1, lease_until=now + MINUTE, slots=10, max_bytes=1 << 30, excluded=())
            other_node = await node.store.claim(ClaimRequest(now=now, capacity=capacity, per_lane=10))
            assert [delivery.event_id for delivery in other_node.deliveries] == [event_id]
            gate.open()
            await node.store.until(lambda: len(node.store.lost) == 1)
            detail = await node.detail(event_id)
            assert (detail.delivery.status, detail.delivery.attempt_count, detail.attempts) == (SENDING, 0, ())
    assert [line["delivery_id"] for line in lines if line["event"] == "lease_lost"] == [detail.delivery.id]


# --- stopping and starting


async def test_a_stop_lets_attempts_in_flight_finish(tmp_path: Path) -> None:
    """Within the grace period their results count. Queued deliveries are released, and no attempt begins."""
    gate = Gate()
    async with (
        Receiver(gate) as receiver,
        idle_node(tmp_path, max_in_flight_per_webhook=2, shutdown_grace="15s") as node,
    ):
        await node.webhook(receiver.url)
        running = asyncio.create_task(node.run())
        await node.store.until(lambda: len(node.store.claims) > 0)
        published = await node.publish(5)
        await receiver.wait_for(2, LATE)
        node.stop()
        await node.store.until(lambda: len(node.store.released) == 3)
        assert not running.done()
        late = await node.publish()
        await expect(node, late, {(PENDING, 0): 1})
        gate.open()
        await running
        assert len(receiver.received) == 2
        await expect(node, published + late, {(DELIVERED, 1): 2, (PENDING, 0): 4})


async def test_a_stop_aborts_attempts_that_do_not_end(tmp_path: Path) -> None:
    """After the grace period their deliveries are released like queued ones, and no attempt is counted."""
    with capture_logs() as lines:
        async with (
            Receiver(Hang()) as receiver,
            idle_node(tmp_path, max_in_flight_per_webhook=2, shutdown_grace="50ms") as node,
        ):
            await node.webhook(receiver.url)
            running = asyncio.create_task(node.run())
            await node.store.until(lambda: len(node.store.claims) > 0)
            published = await node.publish(5)
            await receiver.wait_for(2, LATE)
            node.stop()
            await running
            await expect(node, published, {(PENDING, 0): 5})
            assert sorted(delivery.event_id for delivery in node.store.released) == sorted(published)
            interrupted = [(await node.detail(event_id)).interruptions for event_id in published]
            assert Counter(map(len, interrupted)) == {1: 2, 0: 3}
    assert [line["count"] for line in lines if line["event"] == "attempts_aborted"] == [2]


async def expect(node: LocalNode, published: Sequence[str], expected: dict[tuple[str, int], int]) -> None:
    """Assert how many of these events have which status and how many attempts."""
    details = [await node.detail(event_id) for event_id in published]
    assert Counter((detail.delivery.status, len(detail.attempts)) for detail in details) == Counter(expected)
    assert all(detail.delivery.attempt_count == len(detail.attempts) for detail in details)


async def test_a_restart_on_the_same_file_continues(tmp_path: Path) -> None:
    """Queued, in flight or waiting for a retry: every event arrives after the restart, none twice."""
    async with Receiver(Hang()) as receiver:
        async with local_node(tmp_path, max_in_flight_per_webhook=3, max_queued_deliveries=10) as node:
            receiver.answers(Status(500), Status(200))
            await node.webhook(receiver.url)
            published = await node.publish(30)
            await receiver.wait_for(4, LATE)
            await node.store.until(lambda: len(node.store.recorded) >= 2)
        done = {result.delivery.event_id for result in node.store.recorded if result.verdict.status is DELIVERED}
        receiver.received.clear()
        receiver.answer = Status(200)
        async with local_node(tmp_path) as node:
            await node.store.until(lambda: len(node.store.recorded) == 30 - len(done))
            assert Counter(ids(receiver.received)) == Counter(set(published) - done)
            details = [await node.detail(event_id) for event_id in published]
            assert {detail.delivery.status for detail in details} == {DELIVERED}
            assert sorted(len(detail.attempts) for detail in details) == [*[1] * 29, 2]


async def test_deliveries_of_a_dead_node_are_sent_after_a_restart(tmp_path: Path) -> None:
    """It released nothing; the next node, the only one on the database, reclaims its leases at once and logs it."""
    async with Receiver(Hang()) as receiver:
        async with idle_node(tmp_path, max_in_flight_per_webhook=1) as node:
            await node.webhook(receiver.url)
            running = asyncio.create_task(node.run())
            await node.store.until(lambda: len(node.store.claims) > 0)
            published = await node.publish(3)
            await receiver.wait_for(1, LATE)
            node.store.away = {"record", "release"}
            node.stop()
            await running
            await expect(node, published, {(SENDING, 0): 3})
        receiver.answer = Status(200)
        with capture_logs() as lines:
            async with local_node(tmp_path) as node:
                await node.store.until(lambda: len(node.store.recorded) == 3)
                await expect(node, published, {(DELIVERED, 1): 3})
                for event_id in published:
                    (interruption,) = (await node.detail(event_id)).interruptions
                    assert interruption.number == 1
    assert len([line for line in lines if line["event"] == "lease_reclaimed"]) == 3


# --- the test event


@pytest.mark.parametrize("fields", [{}, {"enabled": False}, {"headers": {"x-shop": "7"}}])
async def test_a_test_event_is_sent_at_once_and_not_counted(tmp_path: Path, fields: dict[str, Any]) -> None:
    """It is signed like any other, also sent to a disabled webhook, not stored, and not retried."""
    async with Receiver(Status(500), secrets=(SECRET,)) as receiver, local_node(tmp_path) as node:
        tried = await node.webhook(receiver.url, **fields)
        event, made, verdict = await node.service.test_events.send(ACME, tried.id, BY)
        (received,) = receiver.received
        assert (received.verified, received.headers["webhook-id"]) == (True, event.id)
        assert (received.headers["webhook-event"], received.headers["webhook-attempt"]) == (CODE, "1")
        assert (made.number, made.status_code, verdict.error_code) == (1, 500, "unsuccessful_status")
        assert node.store.recorded == []
        assert (await node.service.webhooks.get(ACME, tried.id)) == tried
        await node.webhook(receiver.url, organization_id=OTHER)
        await node.publish(organization_id=OTHER)
        await receiver.wait_for(2, LATE)
