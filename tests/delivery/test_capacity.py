"""Share the slots out by organization, then by lane, in constant time for each attempt."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import ACME, DELIVERED, OTHER, leased, local_node, settings, without_deadline

from packhook.core.model import MAX_DATA_BYTES
from packhook.delivery.capacity import MAX_QUEUED_BYTES, QueueCapacity, SlotPool
from packhook.delivery.lane import Lane
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import RemainingCapacity
from packhook.testing import Hang, ManualClock, Receiver

SIZE: Final = 64
LATE: Final = 15.0
SOON: Final = 5.0  # a hanging receiver has 15 s


def lanes(organization_id: str, count: int) -> list[Lane]:
    """Return so many lanes of an organization."""
    return [Lane(f"{organization_id}-{number}", organization_id, max_in_flight=64) for number in range(count)]


def launch(pool: SlotPool, *turns: Lane) -> list[Lane]:
    """Take a slot for each lane that gets one, in this order; return them."""
    launched = []
    for lane in turns:
        if pool.has_free and pool.admits(lane):
            pool.acquire(lane)
            lane.in_flight += 1
            launched.append(lane)
    return launched


def end(pool: SlotPool, lane: Lane) -> list[Lane]:
    """End an attempt of a lane; return the lanes that may try again."""
    lane.in_flight -= 1
    return list(pool.release(lane))


@pytest.mark.parametrize(
    ("organizations", "in_flight"), [(1, [32]), (2, [32, 16]), (3, [32, 16, 8]), (4, [32, 16, 8, 4])]
)
def test_an_organization_gets_as_many_as_are_free(organizations: int, in_flight: list[int]) -> None:
    """Half of them if it is alone; the next half of the rest, and so on: there is room for one more."""
    pool = SlotPool(SIZE)
    launched = [len(launch(pool, *lanes(f"org{number}", 100))) for number in range(organizations)]
    assert launched == in_flight
    assert len(launch(pool, *lanes("late", 1))) == 1


def test_what_ends_goes_to_who_has_less() -> None:
    """Two organizations with much to do come to a third of the slots each, and a third stays free."""
    pool = SlotPool(SIZE)
    running = launch(pool, *lanes("a", 100)) + launch(pool, *lanes("b", 100))
    for _ in range(1_000):
        oldest = running.pop(0)
        running += launch(pool, *end(pool, oldest), oldest)
    counts = Counter(lane.organization_id for lane in running)
    assert sorted(counts) == ["a", "b"]
    assert min(counts.values()) >= SIZE // 3 - 1


def test_an_end_wakes_few_lanes_of_many() -> None:
    """A thousand wait; the work of one end does not grow with them."""
    pool = SlotPool(SIZE)
    running = launch(pool, *lanes("a", 1_000))
    assert [len(end(pool, lane)) for lane in running[:3]] == [2, 4, 6]  # what may run now: none of them did


@without_deadline
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60), st.integers(1, 12), st.randoms())
def test_every_waiting_lane_is_woken_in_the_end(turns: list[tuple[str, int]], size: int, chance: Random) -> None:
    """Whatever the order in which attempts end, and although woken lanes may have nothing to send any more."""
    pool = SlotPool(size)
    known = {name: lanes(name, 10) for name in "abc"}
    running: list[Lane] = []
    waiting: dict[str, Lane] = {}
    for lane in [known[name][number] for name, number in turns]:
        if pool.has_free:
            launched = launch(pool, lane)
            running += launched
            if not launched:
                waiting[lane.webhook_id] = lane
    while running:
        lane = running.pop(chance.randrange(len(running)))
        for woken in end(pool, lane):
            waiting.pop(woken.webhook_id, None)
    assert waiting == {}


async def test_hanging_receivers_of_one_organization_delay_no_other(tmp_path: Path) -> None:
    """Three hundred webhooks hang; another organization's event is delivered at once, and so are its next ones."""
    async with Receiver(Hang()) as hanging, Receiver() as healthy, local_node(tmp_path, max_in_flight=64) as node:
        for number in range(300):
            await node.webhook(f"{hanging.url}/{number}")
        await node.webhook(healthy.url, OTHER)
        await node.publish()
        await hanging.wait_for(32, LATE)
        for count in range(1, 4):
            await node.publish(organization_id=OTHER)
            await healthy.wait_for(count, SOON)
        await node.store.until(lambda: len(node.store.recorded) == 3)
        recorded = [(result.delivery.organization_id, result.verdict.status) for result in node.store.recorded]
        assert recorded == [(OTHER, DELIVERED)] * 3
        assert len(hanging.received) == 32


def queue() -> QueueCapacity:
    """Return the capacity of a node that may queue eight deliveries."""
    return QueueCapacity(settings(max_queued_deliveries=8), ManualClock())


def test_an_organization_queues_as_much_as_is_free() -> None:
    """It is left out of claims from then on, until half of that is sent; others are not."""
    capacity = queue()
    (lane,) = lanes(ACME, 1)
    deliveries = [leased(webhook_id=lane.webhook_id) for _ in range(4)]
    for delivery in deliveries[:3]:
        capacity.add(delivery)
    before = capacity.offer_to_claim((), 500)
    assert before is not None
    assert before.excluded_organizations == frozenset()
    capacity.add(deliveries[3])
    offered = capacity.offer_to_claim((), 500)
    assert offered is not None
    assert (offered.excluded_organizations, dict(offered.queued)) == ({ACME}, {ACME: 4})
    assert [capacity.remove(lane, delivery) for delivery in deliveries] == [False, True, False, False]
    again = capacity.offer_to_claim((), 500)
    assert again is not None
    assert (again.excluded_organizations, dict(again.queued), dict(again.queued_bytes)) == (frozenset(), {}, {})


def test_an_organization_queues_as_many_bytes_as_are_free() -> None:
    """Few large deliveries are as much as many small ones; a claim is bounded by what its bytes could be."""
    capacity = queue()
    large = leased(data=b"x" * (MAX_QUEUED_BYTES // 2))
    capacity.add(large)
    capacity.add(leased(organization_id=OTHER))
    offered = capacity.offer_to_claim((), 500)
    assert offered is not None
    assert offered.excluded_organizations == {ACME}
    capacity.add(leased(organization_id=OTHER, data=b"x" * (MAX_QUEUED_BYTES // 2 - MAX_DATA_BYTES)))
    last = capacity.offer_to_claim((), 500)
    assert last is not None
    assert (last.slots, last.excluded_organizations) == (1, {ACME, OTHER})


@pytest.mark.parametrize(("queued", "taken"), [({}, 4), ({ACME: 2}, 3), ({ACME: 8}, 0), ({OTHER: 8}, 4)])
def test_one_publish_takes_no_more_than_its_share(queued: dict[str, int], taken: int) -> None:
    """Within one transaction, too."""
    known = Capacity(lease=1, lease_until=1, slots=8, free=8, max_bytes=1 << 20, excluded=(), queued=queued)
    remaining = RemainingCapacity(known)
    assert sum(remaining.take(f"wh_{number}", ACME, 10) for number in range(20)) == taken
    assert remaining.take("wh_other", "third", 10)


async def test_a_full_queue_of_one_organization_delays_no_other(tmp_path: Path) -> None:
    """A hundred events wait for a receiver that hangs; another organization's are still sent from the commit."""
    async with (
        Receiver(Hang()) as hanging,
        Receiver() as healthy,
        local_node(tmp_path, max_queued_deliveries=16, max_in_flight=8) as node,
    ):
        for number in range(20):
            await node.webhook(f"{hanging.url}/{number}")
        await node.webhook(healthy.url, OTHER)
        await node.publish(50)
        await hanging.wait_for(4, LATE)
        for count in range(1, 4):
            await node.publish(organization_id=OTHER)
            await healthy.wait_for(count, SOON)
