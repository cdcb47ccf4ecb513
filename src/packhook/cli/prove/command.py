"""``packhook prove``: kill everything while orders are under way, then count every id. Exit 0 only if none is lost."""

import asyncio
import json as json_text
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from packhook.cli.exits import Exit, fail
from packhook.cli.prove.database import database as find_database
from packhook.cli.prove.faults import Fault, faults
from packhook.cli.prove.house import House
from packhook.cli.prove.ledger import Ledger, Verdict
from packhook.cli.prove.publisher import SECRET, Publisher, subscribe
from packhook.testing import Behaviour, HangUp, Received, Receiver, Status

ARRIVAL_SECONDS: Final = 90.0
BETWEEN_SECONDS: Final = 1.0
PATHS: Final = ("/warehouse", "/bookkeeping")
ONE_IN_FAILS: Final = 10


class Proof(Struct, frozen=True, kw_only=True):
    """What was done, and the verdict."""

    database: str
    nodes: int
    seconds: float
    faults: list[tuple[str, bool]]
    deaths: int
    repeated_publishes: int
    attempts: int
    verdict: Verdict


def prove(
    events: Annotated[int, typer.Option(help="How many orders to publish at least.", min=10)] = 2_000,
    rate: Annotated[float, typer.Option(help="Orders a second.", min=1)] = 100.0,
    nodes: Annotated[int, typer.Option(help="Nodes; more than one needs PostgreSQL.", min=1, max=16)] = 1,
    database: Annotated[str, typer.Option(help="An empty database; absent: a new SQLite file.")] = "",
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Start a PostgreSQL of its own, and kill it too.")
    ] = False,
    freeze: Annotated[float, typer.Option(help="Seconds for which a node is frozen; leases last 35.", min=0)] = 37.0,
    seed: Annotated[int, typer.Option(help="Other victims for another number.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the proof to this file.")] = None,
) -> None:
    """Prove that nothing is lost: publish, kill -9 at every step, restart, count every id.

    Example: packhook prove --postgres --nodes 3
    """
    if postgres and database:
        fail("--postgres starts a database of its own: leave --database out", Exit.USAGE)
    if nodes > 1 and not postgres and not database.startswith("postgres"):
        fail("--nodes needs --postgres or --database postgresql://…: one SQLite file serves one node", Exit.USAGE)
    proof = asyncio.run(_prove(database, postgres, nodes, events, rate, seed, freeze))
    _show(proof)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2))
    if not proof.verdict.is_proven or not all(came_about for _, came_about in proof.faults):
        raise typer.Exit(Exit.FAILED)


async def _prove(url: str, postgres: bool, nodes: int, events: int, rate: float, seed: int, freeze: float) -> Proof:
    ledger, began = Ledger(PATHS), time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="packhook-prove-")))
        inbox = _Inbox(ledger)
        receiver = await stack.enter_async_context(Receiver(inbox, secrets=(SECRET,)))
        under = find_database(url, folder, postgres=postgres)
        await under.start()
        stack.push_async_callback(under.stop)
        house = House(under.url, nodes, _log(stack, folder))
        stack.push_async_callback(house.close)
        await house.open()
        await subscribe(house.urls[0], [receiver.url + path for path in PATHS])
        publisher = Publisher(house.urls, ledger, events, rate, seed)
        done = await _publish_under(faults(house, under, seed, freeze), publisher, ledger)
        await _wait_for_the_rest(inbox, ledger)
        attempts = len(receiver.received)
    return Proof(
        database="postgresql" if postgres or url.startswith("postgres") else "sqlite",
        nodes=nodes,
        seconds=time.monotonic() - began,
        faults=done,
        deaths=house.deaths,
        repeated_publishes=publisher.repeated,
        attempts=attempts,
        verdict=ledger.verdict(),
    )


def _log(stack: AsyncExitStack, folder: Path) -> int:
    """Where the nodes write to; nobody reads it while they are killed."""
    log = os.open(folder / "nodes.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    stack.callback(os.close, log)
    return log


async def _publish_under(planned: Iterable[Fault], publisher: Publisher, ledger: Ledger) -> list[tuple[str, bool]]:
    """Publish while the faults come one after another; which they were, and whether each came about."""
    console, done = Console(), []
    publishing = asyncio.create_task(publisher.run())
    for fault in planned:
        came_about = await fault.do()
        done.append((fault.name, came_about))
        console.print(Text(f"{fault.name}{'' if came_about else ': DID NOT COME ABOUT'}; {len(ledger.owed)} owed"))
        await asyncio.sleep(BETWEEN_SECONDS)
    publisher.stop()
    await publishing
    return done


async def _wait_for_the_rest(inbox: "_Inbox", ledger: Ledger) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while ledger.missing():
                inbox.arrived.clear()
                await inbox.arrived.wait()


class _Inbox:
    """The receivers: note everything, fail now and then, so that retries are under way too."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._count = 0
        self.arrived = asyncio.Event()

    def __call__(self, received: Received) -> Behaviour:
        self._count += 1
        fails = self._count % ONE_IN_FAILS == 0
        order_id = str(json_text.loads(received.body)["data"]["id"])
        event_id = received.headers["webhook-id"]
        good = received.verified is True
        self.arrived.set()
        self._ledger.arrived(received.path, order_id, event_id, accepted=not fails, well_signed=good)
        if fails:
            return HangUp() if self._count % (2 * ONE_IN_FAILS) else Status(500)
        return Status(200)


def _show(proof: Proof) -> None:
    verdict = proof.verdict
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (
        ("database", proof.database),
        ("nodes", proof.nodes),
        ("nodes that died", proof.deaths),
        ("publishes asked again", proof.repeated_publishes),
        ("attempts", proof.attempts),
        ("deliveries owed", verdict.owed),
        ("arrived", verdict.arrived),
        ("arrived more than once", verdict.twice),
        ("LOST", len(verdict.lost)),
        ("refused, and yet arrived", len(verdict.intruders)),
        ("orders with several ids", len(verdict.split)),
        ("badly signed", verdict.badly_signed),
        ("seconds", f"{proof.seconds:.0f}"),
    ):
        table.add_row(name, str(value))
    console = Console()
    console.print()
    console.print(table)
    console.print(Text("\nproven: nothing was lost" if verdict.is_proven else "\nNOT PROVEN", style="bold"))
