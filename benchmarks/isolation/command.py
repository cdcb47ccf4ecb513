"""The command ``python -m benchmarks isolation``: publish beside each attack, and print what it costs.

::

    for each attack, on new nodes:   alone ─▶ attack on another node of this machine ─▶ attack on the same node

What the middle phase costs is the machine's: two cores and one disk for all. What the last one costs beyond that is
what the organizations share of a node.
"""

import asyncio
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct

from benchmarks.database import databases
from benchmarks.isolation.attacks import ATTACKS, Order
from benchmarks.isolation.neighbour import Latencies, prepare, publish_for
from benchmarks.isolation.watched_node import PREFIX, LoopWatch
from benchmarks.process_meter import cpu_seconds
from benchmarks.processes import Node, nodes, read_line, start_module
from packhook.cli.exits import Exit, fail
from packhook.testing import Receiver

PREPARE_SECONDS: Final = 120.0
SETTLE_SECONDS: Final = 1.0
_MIB: Final = 1024 * 1024


class Phase(Struct, frozen=True, kw_only=True):
    """Hold what was measured in one phase; ``cores``: CPU seconds of the node in a second."""

    latencies: Latencies
    watch: LoopWatch
    cores: float
    peak_bytes: int

    @property
    def text(self) -> str:
        """Return it in one line."""
        return (
            f"p50 {self.latencies.quantile(50):6.1f} ms  p99 {self.latencies.quantile(99):7.1f} ms  "
            f"refused {self.latencies.refused:3}  longest turn {self.watch.longest_ms:5.0f} ms, "
            f"of its CPU {self.watch.longest_cpu_ms:5.0f} ms  {self.cores:.2f} cores  {self.peak_bytes // _MIB} MiB"
        )


class Measured(Struct, frozen=True, kw_only=True):
    """Hold the phases of one attack."""

    attack: str
    alone: Phase
    beside: Phase
    under: Phase


def isolation(
    attack: Annotated[list[str] | None, typer.Option(help="An attack to measure; default: all.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a phase.", min=1, max=60)] = 6.0,
    postgres: Annotated[bool, typer.Option("--postgres", help="Start a PostgreSQL for this run.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
) -> None:
    """Measure how long a small publish takes while another organization attacks. Takes half a minute for each attack.

    Exit 0 only if nothing of the neighbour was refused.

    Example: python -m benchmarks isolation --attack batches
    """
    names = attack or list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        fail(f"no attack {unknown[0]!r}: expected {', '.join(ATTACKS)}", Exit.USAGE)
    measured = asyncio.run(_measure_all(names, seconds, postgres=postgres))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1))
    if any(one.under.latencies.refused for one in measured):
        fail("publishes of the neighbour were refused", Exit.FAILED)


async def _measure_all(names: list[str], seconds: float, *, postgres: bool) -> list[Measured]:
    measured = []
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as name:
        async with databases("", Path(name), postgres=postgres) as created:
            for number, attack in enumerate(names):
                folders = [Path(name) / f"{number}-{part}" for part in ("victim", "other")]
                for folder in folders:
                    folder.mkdir()
                urls = [await created.create(folder) for folder in folders]
                measured.append(await _measure(attack, urls, seconds))
                for url in urls:
                    await created.drop(url)
    return measured


async def _measure(attack: str, urls: list[str], seconds: float) -> Measured:
    typer.echo(f"\n{attack}: {ATTACKS[attack].title}")
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        program = ("benchmarks.isolation.watched_node",)
        node, other = [(await stack.enter_async_context(nodes(url, 1, None, program=program)))[0] for url in urls]
        key = await prepare(node, receiver)
        await publish_for(node, key, 1.0)
        alone = await _phase("alone ", node, key, seconds)
        async with _attacking(attack, other):
            beside = await _phase("beside", node, key, seconds)
        async with _attacking(attack, node):
            under = await _phase("under ", node, key, seconds)
    return Measured(attack=attack, alone=alone, beside=beside, under=under)


@asynccontextmanager
async def _attacking(attack: str, node: Node) -> AsyncIterator[None]:
    order = msgspec.json.encode(Order(attack, node.host, node.port)).decode()
    process = await start_module("benchmarks.isolation.attacks", order)
    try:
        if await read_line(process, PREPARE_SECONDS) != "ready":
            fail("the attack could not be prepared; the output is above", Exit.FAILED)
        assert process.stdin is not None  # noqa: S101 it was started with a pipe
        process.stdin.write(b"go\n")
        await asyncio.sleep(SETTLE_SECONDS)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _phase(name: str, node: Node, key: str, seconds: float) -> Phase:
    pid = node.process.pid
    await _watch(node.process)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # noqa: ASYNC240 one number into the kernel
    used = cpu_seconds(pid)
    started = asyncio.get_running_loop().time()
    latencies = await publish_for(node, key, seconds)
    passed = asyncio.get_running_loop().time() - started
    phase = Phase(
        latencies=latencies, watch=await _watch(node.process), cores=(cpu_seconds(pid) - used) / passed,
        peak_bytes=_peak_bytes(pid),
    )  # fmt: skip
    typer.echo(f"  {name}  {phase.text}")
    return phase


async def _watch(process: Process) -> LoopWatch:
    """Return what the node's watch has seen, and let it begin anew."""
    process.send_signal(signal.SIGUSR2)
    while not (line := await read_line(process)).startswith(PREFIX):
        if process.returncode is not None:
            fail("the node has ended; its output is above", Exit.FAILED)
    return msgspec.json.decode(line.removeprefix(PREFIX), type=LoopWatch)


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
