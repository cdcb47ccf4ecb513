"""Test the scheduler on a real node: direct enqueueing, claims from the database, and fairness."""

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from node_fixture import DELIVERED, OTHER, PENDING, SENDING, Gate, LocalNode, idle_node, local_node
from structlog.testing import capture_logs

from packhook.core.clock import HOUR, MINUTE, SECOND
from packhook.core.errors import Unavailable
from packhook.core.model import Outcome, Request
from packhook.delivery import recorder
from packhook.delivery.attempt import AttemptInFlight
from packhook.delivery.fair_queue import TURN_UNITS
from packhook.delivery.http.client import Callback, InFlight, Transport
from packhook.delivery.http.connection import Exchange
from packhook.delivery.http.pool import UNIT_BYTES
from packhook.delivery.scheduler import LAUNCHES_PER_TURN
from packhook.testing import Hang, ManualClock, Received, Receiver, Status
from support.values import replaced

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])  # what a node runs on

LATE: Final = 15.0
SOON: Final = 2.5  # long before the slow poll


def ids(received: Sequence[Received]) -> list[str]:
    """Return the ids of the events that arrived, in order."""
    return [request.headers["webhook-id"] for request in received]


async def witness(node: LocalNode, receiver: Receiver) -> None:
    """Send an event to another endpoint and wait for it: by then the node could have sent the others as well."""
    count = len(receiver.received)
    await node.publish(organization_id=OTHER)
    await receiver.wait_for(count + 1, LATE)


@pytest.mark.parametrize("count", [40, 1_000])
async def test_what_is_published_is_sent_without_a_claim(tmp_path: Path, count: int) -> None:
    """A commit enqueues it directly, without a query or a poll, however many events come at once."""
    async with local_node(tmp_path) as node, Receiver() as receiver:
        await node.webhook(receiver.url)
        published = await node.publish(count)
        received = await receiver.wait_for(count, LATE)
        assert Counter(ids(received)) == Counter(published)
        await node.store.until(lambda: len(node.store.recorded) == count)
        assert [claimed.deliveries for claimed in node.store.claims if claimed.deliveries] == []


async def test_enqueue_counts_at_once_and_sends_in_the_next_iteration(tmp_path: Path) -> None:
    """The next capacity includes it; the next transaction does not wait until it is sent."""
    async with local_node(tmp_path) as node, Receiver() as receiver:
        await node.webhook(receiver.url)
        await node.publish()
        await node.store.until(lambda: len(node.store.recorded) == 1)
        dispatcher, sent = node.store.dispatcher, node.store.recorded[0].delivery
        assert dispatcher is not None
        room = dispatcher.capacity().slots
        dispatcher.enqueue([replaced(sent, lease_until=node.clock.now() + HOUR) for _ in range(2)])
        assert dispatcher.capacity().slots == room - 2
        await receiver.wait_for(3, LATE)
        assert dispatcher.capacity().slots == room


async def test_every_subscribed_webhook_gets_the_event(tmp_path: Path) -> None:
    """Twice if it is subscribed twice; webhooks of another code or organization do not."""
    async with local_node(tmp_path) as node, Receiver() as receiver, Receiver() as unsubscribed:
        for path in ("one", "two"):
            await node.webhook(f"{receiver.url}/{path}")
        await node.webhook(unsubscribed.url, event_code="order.shipped")
        await node.webhook(unsubscribed.url, organization_id=OTHER)
        (event_id,) = await node.publish()
        received = await receiver.wait_for(2, LATE)
        assert sorted((request.path, request.headers["webhook-id"]) for request in received) == [
            ("/one", event_id),
            ("/two", event_id),
        ]
        await node.store.until(lambda: len(node.store.recorded) == 2)
        assert unsubscribed.received == []


async def test_deliveries_beyond_the_queue_wait_in_the_database(tmp_path: Path) -> None:
    """Memory is bounded: one in flight and two queued; the others are pending rows, and each is sent once."""
    gate = Gate()
    async with Receiver(gate) as receiver, local_node(tmp_path, max_queued_deliveries=2, max_in_flight=1) as node:
        await node.webhook(receiver.url)
        published = await node.publish(30)
        await receiver.wait_for(1, LATE)
        stands = Counter([(await node.deliveries(event_id))[0].status for event_id in published])
        assert stands[SENDING] <= 3
        assert stands[SENDING] + stands[PENDING] == 30
        gate.open()
        await node.store.until(lambda: len(node.store.recorded) == 30)
        assert Counter(ids(receiver.received)) == Counter(published)


async def test_events_from_before_the_start_are_sent(tmp_path: Path) -> None:
    """They were published while no node ran; the first claim finds them."""
    async with Receiver() as receiver:
        async with local_node(tmp_path, max_in_flight=1, max_queued_deliveries=1) as node:
            await node.webhook(receiver.url)
            receiver.answer = Hang()
            published = await node.publish(50)
            await receiver.wait_for(1, LATE)
        receiver.answer = Status(200)
        receiver.received.clear()
        async with local_node(tmp_path) as node:
            await node.store.until(lambda: len(node.store.recorded) == 50)
        assert Counter(ids(receiver.received)) == Counter(published)


@pytest.mark.parametrize("places", [2, 8, 64])
async def test_a_hanging_webhook_does_not_stop_another(tmp_path: Path, places: int) -> None:
    """However much is queued for it, it never has all slots."""
    async with Receiver(Hang()) as hanging, Receiver() as fine, local_node(tmp_path, max_in_flight=places) as node:
        await node.webhook(hanging.url)
        await node.webhook(fine.url, organization_id=OTHER)
        await node.publish(200)
        await hanging.wait_for(1, LATE)
        published = await node.publish(100, organization_id=OTHER)
        await fine.wait_for(100, LATE)
        assert Counter(ids(fine.received)) == Counter(published)
        assert len(hanging.received) < places


@pytest.mark.parametrize("slots", [1, 2, 7, 8])
async def test_a_webhook_that_failed_is_retried_however_few_slots_there_are(tmp_path: Path, slots: int) -> None:
    """The last eighth of the slots is for others; of fewer than eight that is none."""
    async with Receiver() as receiver, local_node(tmp_path, max_in_flight=slots) as node:
        receiver.answers(Status(500))
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        await node.becomes(event_id, DELIVERED, attempts=2)


async def test_many_hanging_webhooks_do_not_stop_another(tmp_path: Path) -> None:
    """The more hang, the fewer of the free slots each may take."""
    async with Receiver(Hang()) as hanging, Receiver() as fine, local_node(tmp_path, max_in_flight=32) as node:
        for number in range(12):
            await node.webhook(f"{hanging.url}/{number}")
        await node.webhook(fine.url, organization_id=OTHER)
        await node.publish(50)
        await hanging.wait_for(12, LATE)
        await node.publish(50, organization_id=OTHER)
        await fine.wait_for(50, LATE)


async def test_an_organization_with_much_to_send_does_not_go_first(tmp_path: Path) -> None:
    """With one slot, the second organization's event is next but one, though a hundred were queued before it."""
    gate = Gate()
    async with Receiver() as receiver, local_node(tmp_path, max_in_flight=1) as node:
        await node.webhook(f"{receiver.url}/many")
        await node.webhook(f"{receiver.url}/one", organization_id=OTHER)
        await witness(node, receiver)  # from here on the node knows the second webhook
        receiver.answer = gate
        await node.publish(100)
        await receiver.wait_for(2, LATE)
        await node.publish(1, organization_id=OTHER)
        gate.open()
        received = await receiver.wait_for(4, LATE)
        assert "/one" in [request.path for request in received[2:4]]


async def test_a_breaker_holds_without_spending_attempts(tmp_path: Path) -> None:
    """Ten failures in a row, then a pause of a second; the eleventh is the probe, and after it all are sent."""
    async with local_node(tmp_path, max_in_flight_per_webhook=1, retry_schedule="1h") as node, Receiver() as receiver:
        receiver.answers(*[Status(500)] * 10)
        await node.webhook(receiver.url)
        published = await node.publish(15)
        received = await receiver.wait_for(15, LATE)
        assert received[10].at - received[9].at >= 0.99, "the hold"
        await node.store.until(lambda: len(node.store.recorded) == 15)
        assert Counter(ids(received)) == Counter(published), "no event is sent twice"
        details = [await node.detail(event_id) for event_id in ids(received)]
        assert [(detail.delivery.status, detail.delivery.attempt_count) for detail in details] == [
            *[(PENDING, 1)] * 10,
            *[(DELIVERED, 1)] * 5,
        ]


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_slows_the_whole_webhook_down(tmp_path: Path, status: int) -> None:
    """Nothing is sent to it before the requested time; other webhooks continue."""
    slow = Status(status, {"retry-after": "1"})
    async with Receiver() as receiver, Receiver() as other, local_node(tmp_path, max_in_flight_per_webhook=1) as node:
        receiver.answers(slow)
        await node.webhook(receiver.url)
        await node.webhook(other.url, organization_id=OTHER)
        published = await node.publish(3)
        await node.store.until(lambda: len(node.store.recorded) == 1)
        await node.publish()
        await witness(node, other)
        assert len(receiver.received) == 1
        received = await receiver.wait_for(5, LATE)
        assert received[1].at - received[0].at >= 0.99
        assert {*published} <= {*ids(received)}
        assert sorted(Counter(ids(received)).values()) == [1, 1, 1, 2]


async def test_a_long_hold_waits_in_the_database(tmp_path: Path) -> None:
    """Queued deliveries are released, uncounted, and new ones are not leased to the node."""
    async with Receiver() as receiver, Receiver() as other, local_node(tmp_path, max_in_flight_per_webhook=1) as node:
        receiver.answers(Status(429, {"retry-after": "600"}))
        await node.webhook(receiver.url)
        await node.webhook(other.url, organization_id=OTHER)
        published = await node.publish(3)
        await node.store.until(lambda: len(node.store.released) == 2)
        published += await node.publish()
        await witness(node, other)
        details = [await node.detail(event_id) for event_id in published]
        assert {detail.delivery.status for detail in details} == {PENDING}
        assert sorted(len(detail.attempts) for detail in details) == [0, 0, 0, 1]
        assert len(receiver.received) == 1


async def test_a_hold_ends_at_its_time_without_a_timer(tmp_path: Path) -> None:
    """The slow poll and the clock end it if the timer is lost."""
    clock = ManualClock()
    async with Receiver() as receiver, local_node(tmp_path, clock=clock, retry_schedule="1s") as node:
        receiver.answers(Status(429, {"retry-after": "60"}))
        await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        await node.becomes(event_id, PENDING, attempts=1)
        await node.advance(MINUTE + 2 * SECOND)
        assert [delivery.event_id for claimed in node.store.claims for delivery in claimed.deliveries] == [event_id]
        await receiver.wait_for(2, LATE)


async def test_a_restart_keeps_the_retry_after_of_an_endpoint(tmp_path: Path) -> None:
    """It asked for ten minutes; a node that starts within them sends it nothing, not even new events."""
    async with Receiver() as receiver, Receiver() as other:
        async with local_node(tmp_path) as node:
            receiver.answers(Status(429, {"retry-after": "600"}))
            await node.webhook(receiver.url)
            await node.webhook(other.url, organization_id=OTHER)
            await node.publish()
            await node.store.until(lambda: len(node.store.recorded) == 1)
        async with local_node(tmp_path) as node:
            await node.publish()
            await witness(node, other)
            assert len(receiver.received) == 1


async def test_enabling_a_webhook_ends_its_hold(tmp_path: Path) -> None:
    """Its owner says that it works again: pending deliveries are due now."""
    async with Receiver() as receiver, Receiver() as other, local_node(tmp_path) as node:
        receiver.answers(Status(429, {"retry-after": "600"}))
        paused = await node.webhook(receiver.url)
        await node.webhook(other.url, organization_id=OTHER)
        (failed,) = await node.publish()
        await node.store.until(lambda: len(node.store.recorded) == 1)
        (waiting,) = await node.publish()
        await node.change(paused, enabled=False)
        await node.change(paused, enabled=True)
        await witness(node, other)
        await node.store.claim_once(node.clock.now())
        await witness(node, other)
        assert sorted(ids(receiver.received)[1:]) == sorted([failed, waiting])


async def test_a_rate_limit_is_kept(tmp_path: Path) -> None:
    """A second's worth at once, then one by one, until all are sent, for a webhook that the node has loaded."""
    async with Receiver() as receiver, local_node(tmp_path) as node:
        await node.webhook(receiver.url, rate_limit=5.0)
        await node.publish()
        await receiver.wait_for(1, LATE)
        published = await node.publish(10)
        received = (await receiver.wait_for(11, LATE))[1:]
        assert Counter(ids(received)) == Counter(published)
        assert received[-1].at - received[0].at >= 0.8, "ten at five a second, five of them saved up"


async def test_a_rate_limit_is_kept_from_the_first_event_on(tmp_path: Path) -> None:
    """Also by a node that has never sent to this webhook."""
    clock = ManualClock()
    async with Receiver() as receiver, Receiver() as other, local_node(tmp_path, clock=clock) as node:
        await node.webhook(receiver.url, rate_limit=1.0)
        await node.webhook(other.url, organization_id=OTHER)
        await node.publish(8)
        await witness(node, other)
        await node.store.until(lambda: len(node.store.recorded) >= 2)
        assert len(receiver.received) == 1


async def test_a_released_delivery_uses_no_token_of_the_rate_limit(tmp_path: Path) -> None:
    """Queued until its lease no longer covers an attempt: the token is left for the next delivery."""
    clock = ManualClock()
    async with Receiver() as receiver, Receiver() as other, local_node(tmp_path, clock=clock) as node:
        await node.webhook(receiver.url, rate_limit=0.001)
        await node.webhook(other.url, organization_id=OTHER)
        for count in (1, 2):
            clock.advance(HOUR)
            await node.publish()
            await receiver.wait_for(count, LATE)
        await node.publish(3)
        await witness(node, other)
        assert len(receiver.received) == 2, "the limit is reached"
        clock.advance(HOUR)
        await node.publish()
        await node.store.claim_once(clock.now())
        await receiver.wait_for(3, LATE)
        await witness(node, other)
        assert len(receiver.received) == 3, "an hour later one more may go, and there is one that can"


async def test_a_delivery_queued_too_long_is_released_and_leased_again(tmp_path: Path) -> None:
    """It is sent only while the lease outlives the attempt; each event still arrives once."""
    clock, gate = ManualClock(), Gate()
    async with Receiver() as receiver, local_node(tmp_path, clock=clock, max_in_flight=1) as node:
        receiver.answers(gate)
        await node.webhook(receiver.url)
        published = await node.publish(3)
        await receiver.wait_for(1, LATE)
        clock.advance(50 * SECOND)
        gate.open()
        received = await receiver.wait_for(3, LATE)
        await node.store.until(lambda: len(node.store.recorded) == 3)
        assert Counter(ids(received)) == Counter(published)
        assert {delivery.event_id for delivery in node.store.released} == {*published[1:]}
        assert [
            detail.delivery.attempt_count for detail in [await node.detail(event_id) for event_id in published]
        ] == [
            1,
            1,
            1,
        ]


async def test_released_deliveries_do_not_wait_for_the_poll(tmp_path: Path) -> None:
    """All are in the database again at once, though they were released one after another."""
    gate = Gate()
    async with Receiver(gate) as receiver, local_node(tmp_path, max_in_flight_per_webhook=1) as node:
        paused = await node.webhook(receiver.url)
        await node.publish(5)
        await receiver.wait_for(1, LATE)
        await node.change(paused, enabled=False)
        gate.open()
        async with asyncio.timeout(SOON):
            await node.store.until(lambda: len(node.store.released) == 4)


class Broken:
    """Raise for one path, and use the real client for all others."""

    def __init__(self, wire: Transport, path: str) -> None:
        self._wire = wire
        self._path = path
        self.raised = 0

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Raise, or send."""
        if request.url.endswith(self._path):
            self.raised += 1
            raise ZeroDivisionError("an unexpected fault")
        return self._wire.post(request, callback)


async def test_an_attempt_that_always_crashes_is_repeated_with_pauses(tmp_path: Path) -> None:
    """An internal fault may not flood a receiver, the database and the log."""
    wires: list[Broken] = []

    def breaking(wire: Transport) -> Transport:
        wires.append(Broken(wire, "/broken"))
        return wires[0]

    async with Receiver() as receiver, local_node(tmp_path, clock=ManualClock(), wire_seam=breaking) as node:
        await node.webhook(f"{receiver.url}/broken")
        await node.webhook(receiver.url, organization_id=OTHER)
        await node.publish()
        for _ in range(30):
            await witness(node, receiver)
        assert 1 <= wires[0].raised <= 3


async def test_a_webhooks_own_timeout_may_be_the_longest_under_the_shortest_lease(tmp_path: Path) -> None:
    """Every accepted setting works: the lease covers the attempt, so events are sent."""
    async with Receiver() as receiver, local_node(tmp_path, lease_duration="35s") as node:
        await node.webhook(receiver.url, timeout=30_000)
        for count in (1, 2):
            await node.publish()
            await receiver.wait_for(count, LATE)


async def test_a_node_is_ready_until_it_stops(tmp_path: Path) -> None:
    """The load balancer sends requests to a node only while it claims."""
    async with idle_node(tmp_path) as node:
        running = asyncio.create_task(node.run())
        await node.store.until(lambda: len(node.store.claims) > 0)
        await node.service.ready()
        node.stop()
        await running
        with pytest.raises(Unavailable):
            await node.service.ready()


async def test_a_clock_set_back_makes_no_retry_late(tmp_path: Path) -> None:
    """It is noticed in the next round, planned anew, and in the log."""
    clock = ManualClock()
    async with Receiver() as receiver, local_node(tmp_path, clock=clock, retry_schedule="10s") as node:
        receiver.answers(Status(500))
        await node.webhook(receiver.url)
        with capture_logs() as lines:
            (event_id,) = await node.publish()
            await node.store.until(lambda: len(node.store.recorded) == 1)
            await node.store.claim_once(clock.now())
            await node.advance(-HOUR)
            await node.advance(13 * SECOND)
            await node.becomes(event_id, DELIVERED, attempts=2)
        (said,) = [line for line in lines if line["event"] == "clock_set_back"]
        assert (said["seconds"], said["replanned"]) == (3600, 1)


class Counted:
    """Count the requests that begin in each turn of the event loop."""

    def __init__(self, wire: Transport) -> None:
        self._wire = wire
        self._in_turn = 0
        self.largest = 0

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Count, and send."""
        if not self._in_turn:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._in_turn += 1
        self.largest = max(self.largest, self._in_turn)
        return self._wire.post(request, callback)

    def _end_turn(self) -> None:
        self._in_turn = 0


async def test_a_few_attempts_begin_in_each_turn_of_the_event_loop(tmp_path: Path) -> None:
    """So that publishes of others have their turn soon, however many deliveries of one organization are due."""
    wires: list[Counted] = []

    def counting(wire: Transport) -> Transport:
        wires.append(Counted(wire))
        return wires[0]

    async with Receiver() as receiver, local_node(tmp_path, wire_seam=counting) as node:
        for _ in range(5):
            await node.webhook(receiver.url)
        await node.publish(100)
        await receiver.wait_for(500, LATE)
    assert 1 < wires[0].largest <= 2 * LAUNCHES_PER_TURN  # those that begin before and after the count begins anew


class CountedBytes:
    """Count the bytes of responses whose outcomes are handed over in each turn of the event loop."""

    def __init__(self, wire: Transport) -> None:
        self._wire = wire
        self._in_turn = 0
        self.largest = 0

    def post(self, request: Request, callback: Callback) -> InFlight:
        """Send, and count what comes back."""

        def count(outcome: Outcome) -> None:
            if not self._in_turn:
                asyncio.get_running_loop().call_soon(self._end_turn)
            self._in_turn += len(outcome.body)
            self.largest = max(self.largest, self._in_turn)
            callback(outcome)

        return self._wire.post(request, count)

    def _end_turn(self) -> None:
        self._in_turn = 0


async def test_large_responses_that_come_at_once_are_worked_on_in_turns(tmp_path: Path) -> None:
    """Secrets are looked for in each, which takes milliseconds: one a turn, or others wait for all of them."""
    wires: list[CountedBytes] = []

    def counting(wire: Transport) -> Transport:
        wires.append(CountedBytes(wire))
        return wires[0]

    size = 2 * TURN_UNITS * UNIT_BYTES
    gate = Gate(Status(200, body=b"&a" * (size // 2)))
    async with Receiver(gate) as receiver, local_node(tmp_path, wire_seam=counting) as node:
        for _ in range(20):
            await node.webhook(receiver.url, headers={"x-token": "0123456789abcdef"})
        await node.publish()
        await receiver.wait_for(20, LATE)
        gate.open()
        await node.store.until(lambda: len(node.store.recorded) == 20)
    assert wires[0].largest == size


async def test_an_organization_whose_results_wait_is_paused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one's events are sent meanwhile, and its own are when the results are written."""
    monkeypatch.setattr(recorder, "MAX_UNRECORDED_BYTES", 8 * 64 * 1024)
    large = Status(200, body=b"x" * 64 * 1024)
    async with (
        Receiver(large) as receiver,
        Receiver() as healthy,
        local_node(tmp_path, max_in_flight_per_webhook=1) as node,
    ):
        await node.webhook(receiver.url)
        await node.webhook(healthy.url, organization_id=OTHER)
        node.store.away = {"record"}
        await node.publish(20)
        await receiver.wait_for(4, LATE)
        for count in range(1, 4):
            await node.publish(organization_id=OTHER)
            await healthy.wait_for(count, LATE)
        assert len(receiver.received) < 10
        node.store.away.clear()
        await receiver.wait_for(20, LATE)
        await node.store.until(lambda: len(node.store.recorded) == 23)


async def test_an_attempt_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    """A collection of what thousands of attempts leave would stop the event loop for tens of milliseconds."""
    gc.disable()
    try:
        async with local_node(tmp_path) as node, Receiver() as receiver:
            await node.webhook(receiver.url)
            await node.publish(50)
            await node.store.until(lambda: len(node.store.recorded) == 50)
            left = Counter(type(found).__name__ for found in gc.get_objects())
            assert left[AttemptInFlight.__name__] + left[Exchange.__name__] <= 2
    finally:
        gc.enable()
