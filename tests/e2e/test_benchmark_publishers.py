"""Test the benchmark's publishers: connected before anything is measured, and a clear error without a node."""

from pathlib import Path
from typing import Final

import pytest

from benchmarks.plan import Plan
from benchmarks.processes import nodes, publishers, receiver, subscribe
from packhook.core.errors import StartError

PLAN: Final = Plan(connections=5, tls=False).replace(100)
ESTABLISHED: Final = "01"


def connections_to(port: int) -> int:
    """Return how many established connections the kernel has to this port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == ESTABLISHED for fields in lines)


async def test_publishers_connect_before_they_publish(tmp_path: Path) -> None:
    """Open every connection first; then publish everything over them, and deliver it."""
    url = f"sqlite:///{tmp_path}/packhook.db"
    async with receiver(PLAN, tmp_path, None) as started_receiver, nodes(url, 1, None) as started:
        await subscribe(started[0], started_receiver.url, PLAN)
        async with publishers(PLAN, started, started_receiver, tmp_path) as connected:
            assert connections_to(started[0].port) == PLAN.connections
            assert started_receiver.arrived == 0
            published = await connected.publish()
        await started_receiver.wait_for(PLAN.events, 20)
        received = await started_receiver.take_log(tmp_path / "received")
    assert sorted(delivery.split()[1].decode() for delivery in received.first) == sorted(published.ids)
    assert len(published.ids) == PLAN.events
    assert published.refused == {}


async def test_publishers_fail_without_a_node(tmp_path: Path) -> None:
    """Raise StartError when the publishers cannot connect."""
    url = f"sqlite:///{tmp_path}/packhook.db"
    async with receiver(PLAN, tmp_path, None) as started_receiver, nodes(url, 1, None) as started:
        await started[0].stop()
        async with publishers(PLAN, started, started_receiver, tmp_path) as connected:
            with pytest.raises(StartError, match="the publishers failed"):
                await connected.publish()
