"""Test the pace of replayed deliveries: one by one at their rate, lanes in turn, and nothing else waits for it."""

import asyncio

import pytest
from node_fixture import leased

from packhook.core.model import Urgency
from packhook.delivery.lane import Lane
from packhook.delivery.replay_pace import ReplayPace
from packhook.testing.clock import START

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])  # whose timers count in milliseconds, as a node's

NEVER = 1e-6
QUICK = 1_000.0


def lane(webhook_id: str = "wh_1", replays: int = 2) -> Lane:
    """Return a lane with so many replayed deliveries."""
    made = Lane(webhook_id, "acme", 8)
    for _ in range(replays):
        made.put(leased(urgency=Urgency.REPLAY))
    return made


def begin(pace: ReplayPace, of: Lane) -> bool:
    """Begin the lane's next delivery if it may begin now; return whether."""
    if of.has_only_replays and not pace.admits(of):
        return False
    if of.take(START).urgency is Urgency.REPLAY:
        pace.spend()
    return True


async def test_replayed_deliveries_begin_one_by_one() -> None:
    """The second waits, however many slots are free."""
    pace = ReplayPace(NEVER, lambda _: None)
    of = lane()
    assert [begin(pace, of), begin(pace, of)] == [True, False]
    pace.close()


@pytest.mark.parametrize("urgency", [Urgency.FIRST, Urgency.RETRY])
async def test_nothing_else_waits_for_them(urgency: Urgency) -> None:
    """A live event and a retry begin at once, in the lane of a replay, too."""
    pace = ReplayPace(NEVER, lambda _: None)
    of = lane()
    begin(pace, of)
    of.put(leased(urgency=urgency))
    assert [begin(pace, of), begin(pace, of), of.queued] == [True, False, 1]
    pace.close()


async def test_lanes_take_turns_until_nothing_is_left() -> None:
    """A lane that waited is resumed, the longest waiting first; one that is empty by then takes no other's turn."""
    sent: list[str] = []
    done = asyncio.Event()

    def resume(of: Lane) -> None:
        if of.queued and begin(pace, of):
            sent.append(of.webhook_id)
            loop.call_soon(resume, of)  # behind the others, as the fair queue does
        if len(sent) == 5:
            done.set()

    loop = asyncio.get_running_loop()

    pace = ReplayPace(QUICK, resume)
    pace.spend()
    for _ in range(10):  # what begins at once to catch up is used
        pace.spend()
    emptied = lane("wh_0", 1)
    lanes = [emptied, lane("wh_1", 3), lane("wh_2", 2)]
    for of in lanes:
        resume(of)
    emptied.drop()
    async with asyncio.timeout(10):
        await done.wait()
    assert (sent[:2], sorted(sent)) == (["wh_1", "wh_2"], ["wh_1"] * 3 + ["wh_2"] * 2)
    pace.close()
