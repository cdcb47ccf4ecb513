"""Test that the proof finds faults that were made by hand, each with a few events of quiet webhooks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from msgspec import Struct

from benchmarks.postgres_server import PostgresServer
from chaos.accounting import Verdict
from chaos.cluster import Cluster
from chaos.crashing_node import LEASE, MUTATION, REFUSE
from chaos.faults import kill_all, stop_all
from chaos.mutations import MUTATIONS
from chaos.publisher import LARGE_CALL, Publisher, subscribe
from chaos.stage import Stage, stage

LARGE_PATHS: Final = ("/large-a", "/large-b")
ARRIVAL_SECONDS: Final = 30.0
LOST_SECONDS: Final = 2.0
"""How long a ready node may take for what it should send at once."""

SLOW_LOST_SECONDS: Final = 7.0
"""The same where a lease of five seconds has to end, or PostgreSQL's nodes have to notice that one is missing."""

Inject = Callable[[Cluster], Awaitable[bool]]


class Phase(Struct, frozen=True):
    """Describe what happens to a quiet webhook's only event: its first response, and what is injected then."""

    response: str
    inject: Inject | None = None
    settings: dict[str, str] = {}
    lost_seconds: float = LOST_SECONDS
    is_paused: bool = False
    orders: int = 1
    """With more than one it is a call whose deliveries SQLite makes later, and nodes are killed in between."""


KILLED: Final = Phase("hanging", kill_all)
KILLED_SLOWLY: Final = Phase("hanging", kill_all, lost_seconds=SLOW_LOST_SECONDS)
RESUMED: Final = Phase("failing", is_paused=True)
LARGE: Final = Phase("", kill_all, orders=LARGE_CALL)
STOPPED: Final = Phase("hanging", stop_all)
FAILED: Final = Phase("failing")
REFUSED: Final = Phase("failing", None, {REFUSE: "1", LEASE: "5000"}, SLOW_LOST_SECONDS)

PHASES: Final[dict[str, Phase]] = {
    "a rescue without its lane": KILLED,
    "a release without its lane": STOPPED,
    "an expiry without its lane": REFUSED,
    "a retry without its lane": FAILED,
    "a retry that is never due": FAILED,
    "a failure that counts as delivered": FAILED,
    "a publish that is answered and not stored": KILLED,
    "a resume without its lane": RESUMED,
    "a start that does not look into the outbox": LARGE,
    "a resume without its lane, on PostgreSQL": RESUMED,
    "a rescue without its lane, on PostgreSQL": KILLED_SLOWLY,
    "a release without its lane, on PostgreSQL": STOPPED,
    "a retry without its lane, on PostgreSQL": FAILED,
}
HEALTHY: Final = [
    name
    for name in PHASES
    if name not in ("a retry that is never due", "a failure that counts as delivered")
    and not name.startswith("a publish")
]


@asynccontextmanager
async def _database(name: str, folder: Path) -> AsyncIterator[str]:
    if "PostgreSQL" not in name:
        yield f"sqlite:///{folder / 'packhook.db'}"
        return
    with TemporaryDirectory(prefix="packhook-chaos-") as own:  # a user of its own reads it: not below pytest's folder
        server = PostgresServer(Path(own))
        await server.start()
        try:
            yield server.url
        finally:
            await server.stop()


async def _prove(folder: Path, database: str, phase: Phase, mutation: str) -> Verdict:
    """Publish one event to a quiet webhook, inject the phase's fault, and account for the event."""
    paths = LARGE_PATHS if phase.orders > 1 else ()
    async with stage(database, 1, folder, paths, {**phase.settings, MUTATION: mutation}) as proof:
        if phase.orders == 1:
            await proof.publish_quietly(phase.response, is_paused=phase.is_paused)
        else:
            await _publish_large(proof)
        if phase.inject is not None:
            restarts = proof.cluster.restarts
            await phase.inject(proof.cluster)
            await proof.cluster.wait_for_restart(restarts)
        await proof.inbox.wait_for_arrivals(phase.lost_seconds if mutation else ARRIVAL_SECONDS)
        return proof.ledger.verdict()


async def _publish_large(proof: Stage) -> None:
    await subscribe(proof.cluster.urls[0], [proof.receiver.url + path for path in LARGE_PATHS])
    await Publisher(proof.cluster.urls, proof.ledger, 0, 1, 0).publish_large()


def test_every_mutation_has_its_phase() -> None:
    """Let no fault of the table go untested."""
    assert PHASES.keys() == MUTATIONS.keys()


@pytest.mark.parametrize("name", PHASES)
async def test_the_proof_finds_it(name: str, tmp_path: Path) -> None:
    """Report the only event of the webhook as lost, or what was left of a large call."""
    async with _database(name, tmp_path) as database:
        verdict = await _prove(tmp_path, database, PHASES[name], name)
    if PHASES[name].orders == 1:
        assert (verdict.owed, verdict.lost) == (1, ["quiet_1"])
    assert verdict.lost
    assert not verdict.is_proven


@pytest.mark.parametrize("name", HEALTHY)
async def test_without_the_fault_nothing_is_lost(name: str, tmp_path: Path) -> None:
    """Deliver the same event in the same phase when the node has no fault."""
    async with _database(name, tmp_path) as database:
        verdict = await _prove(tmp_path, database, PHASES[name], "")
    assert verdict.is_proven, verdict
