"""The benchmark's publishers: connected before anything counts, and what keeps them from it is told."""

from pathlib import Path
from typing import Final

import pytest

from packhook.cli.bench.plan import Plan
from packhook.cli.bench.stage import nodes, publishers, sink, subscribe
from packhook.core.errors import StartError

PLAN: Final = Plan(connections=5).of(100)
ESTABLISHED: Final = "01"


def connections_to(port: int) -> int:
    """How many that port has, as the kernel sees it."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(each[1].endswith(f":{port:04X}") and each[3] == ESTABLISHED for each in lines)


async def test_connections_stand_before_anything_is_published(tmp_path: Path) -> None:
    """All of them; then all is published over them, and arrives."""
    async with sink(PLAN, tmp_path, None) as receiver, nodes(f"sqlite:///{tmp_path}/packhook.db", 1, None) as started:
        await subscribe(started[0], receiver.url, PLAN)
        async with publishers(PLAN, started, receiver, tmp_path) as standing:
            assert connections_to(started[0].port) == PLAN.connections
            assert receiver.arrived == 0
            published = await standing.publish()
        await receiver.wait_for(PLAN.events, 20)
        noted = await receiver.noted(tmp_path / "noted")
    assert sorted(name.split()[1].decode() for name in noted.first) == sorted(published.ids)
    assert len(published.ids) == PLAN.events
    assert published.refused == {}


async def test_publishers_that_find_no_node_say_so(tmp_path: Path) -> None:
    """They end, and whoever has them publish is told."""
    async with sink(PLAN, tmp_path, None) as receiver, nodes(f"sqlite:///{tmp_path}/packhook.db", 1, None) as started:
        await started[0].stop()
        async with publishers(PLAN, started, receiver, tmp_path) as standing:
            with pytest.raises(StartError, match="the publishers gave up"):
                await standing.publish()
