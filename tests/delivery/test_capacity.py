"""Share the slots out by organization, then by lane, in constant time for each attempt."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import DELIVERED, OTHER, local_node, without_deadline

from packhook.delivery.capacity import SlotPool
from packhook.delivery.lane import Lane
from packhook.testing import Hang, Receiver

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
