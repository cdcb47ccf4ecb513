"""Test the one policy by which organizations take turns, whatever their work weighs."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.fairness import (
    FEW_OF_NODE,
    MAX_TRANSACTION_WEIGHT,
    OF_THE_NODE,
    SHARED_WEIGHT,
    SMALL_WEIGHT,
    WeightedFairQueue,
    WriteQueue,
)
from packhook.store.fair_gate import FairGate

LARGE = MAX_TRANSACTION_WEIGHT + 1


def test_what_another_has_queued_does_not_stand_before_a_small_item() -> None:
    """It is next, after what is served already."""
    queue = WeightedFairQueue[str]()
    for number in range(100):
        queue.add("greedy", f"large {number}")
    assert queue.pop(2_000) == "large 0"
    queue.add("modest", "small")
    assert queue.peek() == "small"
    assert queue.pop() == "small"


def test_leaving_and_returning_wins_no_turns() -> None:
    """An organization that was served a lot waits for one that has always waited, although it had left."""
    queue = WeightedFairQueue[str]()
    queue.add("greedy", "first")
    assert queue.pop(1_000) == "first"
    queue.add("greedy", "second")
    queue.add("modest", "small")
    assert [queue.pop(), queue.pop()] == ["small", "second"]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50), min_size=1), st.integers(1, 300))
def test_organizations_get_equal_weight(weights: dict[str, int], rounds: int) -> None:
    """While all of them wait, what they got differs by no more than one item of each."""
    queue = WeightedFairQueue[str]()
    served = Counter(dict.fromkeys(weights, 0))
    for owner in weights:
        queue.add(owner, owner)
    for _ in range(rounds):
        owner = queue.peek()
        queue.pop(weights[owner])
        served[owner] += weights[owner]
        queue.add(owner, owner)
    assert max(served.values()) - min(served.values()) <= 2 * max(weights.values())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)) | st.none(), max_size=60))
def test_every_item_is_served_once_in_the_order_of_its_organization(steps: list[tuple[str, int] | None]) -> None:
    """Whatever comes and goes meanwhile."""
    queue = WeightedFairQueue[tuple[str, int]]()
    added: dict[str, list[tuple[str, int]]] = {"a": [], "b": [], "c": []}
    served: dict[str, list[tuple[str, int]]] = {"a": [], "b": [], "c": []}
    for number, step in enumerate(steps):
        if step is not None:
            queue.add(step[0], (step[0], number))
            added[step[0]].append((step[0], number))
        elif queue:
            item = queue.pop(number % 7)
            served[item[0]].append(item)
    while queue:
        item = queue.pop()
        served[item[0]].append(item)
    assert served == added


def test_organizations_that_have_finished_are_forgotten() -> None:
    """So memory does not grow with the number of organizations that were ever served."""
    queue = WeightedFairQueue[int]()
    for number in range(5_000):
        queue.add(str(number), number)
        queue.pop()
    assert len(queue._finishes) <= 1_001


def test_a_transaction_takes_small_writes_together_and_a_large_one_alone() -> None:
    """The node's own go along; a large one does not go where it may not, and keeps its place."""
    queue = WriteQueue[str]()
    queue.add("a", LARGE, "large")
    queue.add("a", 1, "after it")
    queue.add("b", 1, "small")
    queue.add(OF_THE_NODE, LARGE, "results")
    assert queue.take(large=False) == (["results"], 0)
    assert queue.take() == (["large"], LARGE)
    assert queue.take() == (["small", "after it"], 2)
    assert not queue


def test_a_transaction_of_small_writes_is_bounded() -> None:
    """The next one takes the others."""
    queue = WriteQueue[int]()
    for number in range(4):
        queue.add("a", SHARED_WEIGHT // 2, number)
        queue.add(OF_THE_NODE, SHARED_WEIGHT // 2, -number)
    assert queue.take() == ([0, -1], 0)
    assert queue.take() == ([0, 1], SHARED_WEIGHT)
    assert queue.drain() == [-2, -3, 2, 3]


def test_a_few_writes_of_the_node_go_along_with_others() -> None:
    """So an event costs one transaction less."""
    queue = WriteQueue[str]()
    queue.add(OF_THE_NODE, FEW_OF_NODE, "results")
    queue.add("a", SMALL_WEIGHT + 1, "call")
    assert queue.take() == (["results", "call"], SMALL_WEIGHT + 1)


def test_a_small_write_waits_for_one_transaction_at_most() -> None:
    """Whatever was written last: the node's own writes, or a slice of a large call, come after it."""
    queue = WriteQueue[str]()
    queue.add("fan-out", SHARED_WEIGHT, "slice")
    assert queue.take()[0] == ["slice"]
    for last in ("results", "slice", "results"):
        queue.add(OF_THE_NODE, FEW_OF_NODE + 1, "results")
        queue.add("fan-out", SHARED_WEIGHT, "slice")
        while queue.take()[0] != [last]:
            pass
        queue.add(OF_THE_NODE, FEW_OF_NODE + 1, "results")
        queue.add("a", SMALL_WEIGHT, "small")
        assert queue.take()[0] == ["small"]


def test_neither_the_node_nor_a_large_call_waits_for_ever() -> None:
    """However many small writes come."""
    queue = WriteQueue[str]()
    queue.add("fan-out", SHARED_WEIGHT, "slice")
    taken: list[str] = []
    for _ in range(30):
        for name in "abc":
            queue.add(name, SMALL_WEIGHT, "small")
        queue.add(OF_THE_NODE, FEW_OF_NODE + 1, "results")
        taken += queue.take()[0]
    assert taken.count("results") >= 10
    assert taken.count("slice") == 1


async def test_a_gate_admits_organizations_in_turn() -> None:
    """However many of one wait; and never more than the limit at once."""
    gate = FairGate(1)
    order: list[str] = []
    opened = asyncio.Event()

    async def work(name: str) -> None:
        async with gate.admit(name[0]):
            await opened.wait()
            order.append(name)

    working = asyncio.gather(*map(work, ("a1", "a2", "a3", "a4", "b1")))
    asyncio.get_running_loop().call_soon(opened.set)
    await working
    assert order == ["a1", "a2", "b1", "a3", "a4"]


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_a_cancelled_caller_leaves_the_gate_open(is_admitted: bool) -> None:
    """Also where it was admitted at the same moment."""
    gate = FairGate(1)
    begun = asyncio.Event()

    async def hold() -> None:
        begun.set()
        async with gate.admit("b"):
            raise AssertionError("it was cancelled")

    async with gate.admit("a"):
        waiting = asyncio.create_task(hold())
        await begun.wait()
        if not is_admitted:
            waiting.cancel()
    if is_admitted:
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5), gate.admit("c"):
        pass
