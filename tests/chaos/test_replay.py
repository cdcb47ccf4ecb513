"""Test a replay of thousands of events with a node that is killed half way: each event once, and all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chaos.replay import prove_replay
from store.dialects import DIALECTS

EVENTS: Final = 3_000


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database."""
    with DIALECTS[request.param](tmp_path) as url:
        yield url


async def test_a_node_killed_during_a_replay(tmp_path: Path, database: str) -> None:
    """What was previewed is what is sent and counted, and nothing is queued twice; on PostgreSQL with two nodes.

    The kill interrupts attempts: their requests are repeated, with the same number.
    """
    nodes = 2 if database.startswith("postgres") else 1
    proof = await prove_replay(database, nodes, EVENTS, tmp_path, replay_rate=1_000, live_rate=20)
    assert (proof.previewed, proof.matched, proof.delivered, proof.failed) == (EVENTS, EVENTS, EVENTS, 0)
    assert (proof.arrived, proof.twice) == (EVENTS, 0)
    assert proof.restarts == 1
    assert proof.is_proven
