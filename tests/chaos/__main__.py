"""Kill nodes and the database while orders are published, then account for every id. Exit 0 only if none is lost."""

import asyncio
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.postgres_server import PostgresServer
from chaos.accounting import Verdict
from chaos.faults import Fault, faults, kill_in_retention
from chaos.feed_reader import FeedReader
from chaos.history import ROWS_PER_EVENT, SETTINGS, add_old_events, count_old_rows
from chaos.publisher import Publisher, subscribe
from chaos.replay import ReplayProof, prove_replay
from chaos.server import start_server
from chaos.stage import FIRST_RESPONSES, ROTATED, Stage, stage
from packhook.cli.exits import Exit, fail

ARRIVAL_TIMEOUT_SECONDS: Final = 90.0
PAUSE_SECONDS: Final = 1.0
KILLED_IN_RETENTION: Final = "every node killed in the middle of retention"
PATHS: Final = (ROTATED, "/bookkeeping")

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Proof(Struct, frozen=True, kw_only=True):
    """Hold the faults, each with whether it happened, the counts of the run, and the verdict."""

    database: str
    nodes: int
    seconds: float
    faults: list[tuple[str, bool]]
    restarts: int
    publish_retries: int
    attempts: int
    rotations: int
    read: int
    unread: list[str]
    read_again: int
    old_rows: int
    verdict: Verdict

    @property
    def is_proven(self) -> bool:
        """Tell whether nothing was lost, on its way or in the feed, secrets were rotated, and retention has ended."""
        is_kept = self.verdict.is_proven and not self.unread and not self.read_again
        return bool(is_kept and self.rotations and not self.old_rows)


@app.command()
def chaos(
    events: Annotated[int, typer.Option(help="Minimum number of orders to publish.", min=10)] = 2_000,
    rate: Annotated[float, typer.Option(help="Orders per second.", min=1)] = 100.0,
    nodes: Annotated[int, typer.Option(help="Nodes; more than one needs PostgreSQL.", min=1, max=16)] = 1,
    database: Annotated[str, typer.Option(help="URL of an empty database; default: a new SQLite file.")] = "",
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Start a PostgreSQL for this run, and kill it too.")
    ] = False,
    freeze: Annotated[float, typer.Option(help="Seconds to freeze a node; leases last 35.", min=0)] = 37.0,
    old_events: Annotated[int, typer.Option(help="Events past retention at the start.", min=0)] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed that chooses the victims.")] = 1,
    replay: Annotated[int, typer.Option(help="Instead: replay so many events, and kill a node half way.", min=0)] = 0,
    replay_rate: Annotated[float, typer.Option(help="With --replay: deliveries per second.", min=1)] = 500.0,
    json: Annotated[Path | None, typer.Option(help="Write the proof to this file as JSON.")] = None,
) -> None:
    """Prove that nothing is lost: publish, kill -9 at every crash point, restart, account for every id.

    Example: python -m chaos --postgres --nodes 3
    """
    if postgres and database:
        fail("--postgres starts a database of its own: omit --database", Exit.USAGE)
    if nodes > 1 and not postgres and not database.startswith("postgres"):
        fail("--nodes needs --postgres or --database postgresql://…: one SQLite file serves one node", Exit.USAGE)
    if replay:
        outcome = asyncio.run(_prove_replay(database, postgres, nodes, replay, replay_rate, rate))
        _finish_replay(outcome, json)
        return
    proof = asyncio.run(_prove(database, postgres, nodes, events, rate, seed, freeze, old_events))
    _print(proof)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2))
    if not (proof.is_proven and all(happened for _, happened in proof.faults)):
        raise typer.Exit(Exit.FAILED)


async def _prove(
    url: str, postgres: bool, nodes: int, events: int, rate: float, seed: int, freeze: float, old_events: int
) -> Proof:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="packhook-chaos-")))
        folder.chmod(0o755)  # noqa: ASYNC240 nothing else runs; the database server has another user
        started = await start_server(stack, folder, events) if postgres else None
        database = started.url if started is not None else url or f"sqlite:///{folder / 'packhook.db'}"
        if old_events:
            await add_old_events(database, old_events)
        proof = await stack.enter_async_context(stage(database, nodes, folder, PATHS, SETTINGS))
        cluster, ledger = proof.cluster, proof.ledger
        injected: list[tuple[str, bool]] = []
        if old_events:
            happened = await kill_in_retention(cluster, database, old_events * ROWS_PER_EVENT)
            injected.append((KILLED_IN_RETENTION, happened))
        rotated, _ = await subscribe(cluster.urls[0], [proof.receiver.url + path for path in PATHS])
        publisher = Publisher(cluster.urls, ledger, events, rate, seed)
        reader = FeedReader(cluster.urls)
        reader.start()
        stack.push_async_callback(reader.stop)
        planned = faults(cluster, started, seed, freeze, database, publisher.publish_large)
        injected += await _publish_and_inject(planned, publisher, proof, rotated)
        await proof.inbox.wait_for_arrivals(ARRIVAL_TIMEOUT_SECONDS)
        unread = await reader.wait_for_orders(publisher.order_ids, ARRIVAL_TIMEOUT_SECONDS)
        old_rows = await _wait_for_retention(database)
    return Proof(
        database="postgresql" if database.startswith("postgres") else "sqlite",
        nodes=nodes,
        seconds=time.monotonic() - began,
        faults=injected,
        restarts=cluster.restarts,
        publish_retries=publisher.retries,
        attempts=proof.inbox.counts.total(),
        rotations=proof.inbox.rotations.count,
        read=len(reader.order_ids),
        unread=sorted(unread),
        read_again=reader.repeated,
        old_rows=old_rows,
        verdict=ledger.verdict(),
    )


async def _wait_for_retention(database: str) -> int:
    """Return what is left of the old events once it is nothing, or after a while."""
    left = await count_old_rows(database)
    until = time.monotonic() + ARRIVAL_TIMEOUT_SECONDS
    while left and time.monotonic() < until:
        await asyncio.sleep(PAUSE_SECONDS)
        left = await count_old_rows(database)
    return left


async def _prove_replay(
    url: str, postgres: bool, nodes: int, events: int, replay_rate: float, live_rate: float
) -> ReplayProof:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="packhook-chaos-")))
        database = url or f"sqlite:///{folder / 'packhook.db'}"
        if postgres:
            server = PostgresServer(folder)
            await server.start()
            stack.push_async_callback(server.stop)
            database = server.url
        return await prove_replay(database, nodes, events, folder, replay_rate=replay_rate, live_rate=live_rate)


def _finish_replay(proof: ReplayProof, json: Path | None) -> None:
    """Print the counts, write them, and exit with 1 unless they are what they have to be."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in proof.__struct_fields__:
        value = getattr(proof, name)
        table.add_row(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value))
    console = Console()
    console.print(table)
    console.print(Text("\nproven: each event once" if proof.is_proven else "\nNOT PROVEN", style="bold"))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2))
    if not proof.is_proven:
        raise typer.Exit(Exit.FAILED)


async def _publish_and_inject(
    planned: Iterable[Fault], publisher: Publisher, proof: Stage, rotated: str
) -> list[tuple[str, bool]]:
    """Publish while the faults are injected; return their names, each with whether it happened.

    Before each fault, quiet webhooks get their only event: one is in flight then, one waits for its retry, and
    one was paused when it was published. During it, the secret of the webhook at the path ``rotated`` is rotated.
    """
    console, injected = Console(), []
    publishing = asyncio.create_task(publisher.run())
    for fault in planned:
        for response in FIRST_RESPONSES:
            await proof.publish_quietly(response)
        await proof.publish_quietly("failing", is_paused=True)
        rotating = asyncio.create_task(proof.inbox.rotations.rotate(proof.cluster.urls, rotated))
        happened = await fault.inject()
        await rotating
        injected.append((fault.name, happened))
        console.print(
            Text(f"{fault.name}{'' if happened else ': DID NOT HAPPEN'}; {len(proof.ledger.owed)} orders owed")
        )
        await asyncio.sleep(PAUSE_SECONDS)
    publisher.stop()
    await publishing
    return injected


def _print(proof: Proof) -> None:
    verdict = proof.verdict
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (
        ("database", proof.database),
        ("nodes", proof.nodes),
        ("restarts of nodes", proof.restarts),
        ("publish retries", proof.publish_retries),
        ("attempts", proof.attempts),
        ("rotations of a secret", proof.rotations),
        ("orders read from the feed", proof.read),
        ("NOT READ", len(proof.unread)),
        ("read again behind their cursor", proof.read_again),
        ("rows past retention that are left", proof.old_rows),
        ("deliveries owed", verdict.owed),
        ("arrived", verdict.arrived),
        ("duplicates", verdict.duplicates),
        ("LOST", len(verdict.lost)),
        ("refused, but arrived", len(verdict.unexpected)),
        ("orders with several event ids", len(verdict.split)),
        ("badly signed", verdict.badly_signed),
        ("seconds", f"{proof.seconds:.0f}"),
    ):
        table.add_row(name, str(value))
    console = Console()
    console.print()
    console.print(table)
    console.print(Text("\nproven: nothing was lost" if proof.is_proven else "\nNOT PROVEN", style="bold"))


if __name__ == "__main__":
    app(prog_name="python -m chaos")
