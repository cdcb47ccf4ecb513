"""Serve every organization equally, and within it every webhook, however much is queued."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import ACME, OTHER, without_deadline

from packhook.delivery.fair_queue import FairQueue
from packhook.delivery.lane import Lane

ORGANIZATIONS = st.lists(st.integers(min_value=1, max_value=5), min_size=1, max_size=5)


def lane(name: str, organization_id: str = ACME) -> Lane:
    """Return a lane of this name."""
    return Lane(name, organization_id, max_in_flight=64)


def queue_of(*lanes: Lane) -> FairQueue[Lane]:
    """Return a queue with these lanes, in this order."""
    turns = FairQueue[Lane]()
    for lane in lanes:
        turns.add(lane)
    return turns


def drained(turns: FairQueue[Lane]) -> list[str]:
    """Take all lanes; return their names in order."""
    names = []
    while turns:
        names.append(turns.next().webhook_id)
    return names


def test_an_empty_queue() -> None:
    """It is false, and has no next lane."""
    turns = FairQueue[Lane]()
    assert not turns
    with pytest.raises(IndexError):
        turns.next()


@pytest.mark.parametrize(
    ("queued", "served"),
    [
        ("a1", "a1"),
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3"),
        ("a1 a1 a1 b1", "a1 b1"),
        ("a1 b1 a1 b1 a2", "a1 b1 a2"),
    ],
)
def test_round_over_the_organizations_then_over_their_webhooks(queued: str, served: str) -> None:
    """The letter is the organization: one of each, then the next of each; a lane that waits is listed once."""
    assert drained(queue_of(*(lane(name, name[0]) for name in queued.split()))) == served.split()


def test_a_served_lane_is_queued_behind_the_others_of_its_organization() -> None:
    """It may be queued again as soon as it was taken out."""
    first, second = lane("first"), lane("second")
    turns = queue_of(first, second)
    assert turns.next() is first
    turns.add(first)
    assert drained(turns) == ["second", "first"]


def test_an_organization_that_returns_is_queued_behind_the_others() -> None:
    """Leaving and returning wins no turns."""
    mine, theirs = lane("mine", ACME), lane("theirs", OTHER)
    turns = queue_of(mine, theirs)
    assert turns.next() is mine
    turns.add(mine)
    assert drained(turns) == ["theirs", "mine"]


@without_deadline
@given(ORGANIZATIONS, st.integers(min_value=1, max_value=200))
def test_turns_differ_by_at_most_one(organizations: list[int], rounds: int) -> None:
    """If all always have work, over organizations and over the lanes of each."""
    turns = queue_of(
        *(lane(f"{owner}/{one}", str(owner)) for owner, lanes in enumerate(organizations) for one in range(lanes))
    )
    by_organization, by_lane = Counter(dict.fromkeys(map(str, range(len(organizations))), 0)), Counter[str]()
    for _ in range(rounds):
        served = turns.next()
        by_organization[served.organization_id] += 1
        by_lane[served.webhook_id] += 1
        turns.add(served)
    assert max(by_organization.values()) - min(by_organization.values()) <= 1
    for owner, lanes in enumerate(organizations):
        own = [by_lane[f"{owner}/{one}"] for one in range(lanes)]
        assert max(own) - min(own) <= 1


@without_deadline
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)) | st.none(), max_size=60))
def test_a_lane_is_listed_exactly_once(steps: list[tuple[str, int] | None]) -> None:
    """None is lost or listed twice, in any order of adding (a lane) and taking (None)."""
    turns, waiting = FairQueue[Lane](), set[str]()
    for step in steps:
        if step is not None:
            name = f"{step[0]}{step[1]}"
            turns.add(lane(name, step[0]))
            waiting.add(name)
        elif waiting:
            waiting.remove(turns.next().webhook_id)
        assert bool(turns) is bool(waiting)
    assert sorted(drained(turns)) == sorted(waiting)
