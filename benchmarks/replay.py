"""Measure live events beside a replay: ``python -m benchmarks.replay [--postgres] [--rounds N]``.

One organization's webhook is replayed from its history. Another one's gets 200 events per second meanwhile, each timed
from its publish request to its arrival. Phases alternate: the replay is paused, then it runs. So what is compared has
the same machine, second by second, and the p99 of a phase is of 1,600 events. It also says how many transactions the
node commits in a second, and how much of a core it uses.
"""

import argparse
import asyncio
import multiprocessing
import re
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.database import databases
from benchmarks.isolation.client import Client, create, subscribe
from benchmarks.plan import OPERATOR_KEY
from benchmarks.process_meter import cpu_seconds
from benchmarks.processes import Node, nodes
from packhook.testing import Received, Receiver, Status

LIVE_RATE: Final = 200.0
REPLAY_RATE: Final = 500.0
"""The default setting."""

BATCH: Final = 500
SECRET: Final = "s" * 24
_COMMITS: Final = re.compile(rb"packhook_commit_duration_seconds_count(?:{[^}]*})? ([0-9.e+]+)")


def receive(ready: Connection) -> None:
    """Run the receiver of the replay in this process, and send its URL."""

    async def serve() -> None:
        async with Receiver(lambda _: Status(200)) as receiver:
            ready.send(receiver.url)
            await asyncio.Event().wait()

    asyncio.run(serve())


class Phase(NamedTuple):
    """Hold the latencies of a phase in milliseconds, sorted, and what the node did in a second."""

    latencies: list[float]
    commits: float
    replayed: float
    cores: float

    def at(self, share: float) -> float:
        """Return a percentile."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]

    def __str__(self) -> str:
        return (
            f"p50 {self.at(0.5):5.1f} p99 {self.at(0.99):6.1f} ms, {self.commits:5.0f} commits/s, "
            f"{self.replayed:4.0f} replayed/s, {self.cores:.2f} cores"
        )


def pooled(phases: Sequence[Phase]) -> Phase:
    """Return all phases of a kind as one."""
    latencies = sorted(latency for phase in phases for latency in phase.latencies)
    return Phase(latencies, *(median(values) for values in list(zip(*phases, strict=True))[1:]))


class Live:
    """Publish live events at a constant rate, and time them from the request to the arrival."""

    def __init__(self) -> None:
        self._sent: dict[str, float] = {}
        self.latencies: list[float] = []

    def __call__(self, received: Received) -> Status:
        """Time an arrival."""
        sent = self._sent.pop(msgspec.json.decode(received.body)["data"]["id"], None)
        if sent is not None:
            self.latencies.append((time.perf_counter() - sent) * 1_000)
        return Status(200)

    async def publish(self, clients: list[Client], key: str) -> None:
        """Publish without end. An event waits for a free connection as a publisher's would, and its time counts."""
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        free: asyncio.Queue[Client] = asyncio.Queue()
        for client in clients:
            free.put_nowait(client)
        async with asyncio.TaskGroup() as group:
            for number in range(1 << 62):
                id_ = f"live_{number}"
                self._sent[id_] = time.perf_counter()
                group.create_task(self._publish(free, id_, key))
                due += 1 / LIVE_RATE
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _publish(self, free: asyncio.Queue[Client], id_: str, key: str) -> None:
        """Publish; what the node closed meanwhile is an event that never arrives, and is not timed."""
        client = await free.get()
        body = msgspec.json.encode({"event_code": "order.created", "data": {"id": id_}})
        with suppress(OSError, asyncio.IncompleteReadError):
            await client.ask("POST", "/organizations/live/events", body, key)
        free.put_nowait(client)


async def measure(url: str, *, rounds: int, seconds: float) -> None:
    """Print each phase, then the medians of the rounds' ratios."""
    async with AsyncExitStack() as stack:
        live = Live()
        receiver = await stack.enter_async_context(Receiver(live))
        ready, child = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=receive, args=(child,), daemon=True)
        process.start()
        stack.callback(process.kill)
        (node,) = await stack.enter_async_context(nodes(url, 1, None))
        client = Client(node.host, node.port)
        key = (await subscribe(node.host, node.port, "live", receiver.url, 1)).key
        await create(client, "/organizations", {"id": "replayed"})
        events = [{"event_code": "order.created", "data": {"id": f"ord_{number}"}} for number in range(BATCH)]
        for _ in range(int(1 + rounds * seconds * REPLAY_RATE / BATCH)):
            await client.ask("POST", "/organizations/replayed/events/batch", msgspec.json.encode({"events": events}))
        hook = {"event_code": "order.created", "endpoint": await asyncio.to_thread(ready.recv), "secret": SECRET}
        webhook = await create(client, "/organizations/replayed/webhooks", hook)
        path = f"/organizations/replayed/webhooks/{webhook['id']}/replays"
        query = msgspec.json.encode({"select": "missing", "since": "2020-01-01T00:00:00Z"})
        replay = f"/organizations/replayed/replays/{(await client.ask('POST', path, query)).json()['id']}"
        await client.ask("POST", f"{replay}/pause")
        publishing = [asyncio.create_task(live.publish([Client(node.host, node.port) for _ in range(16)], key))]
        rounds_of: list[tuple[Phase, Phase]] = []
        await asyncio.sleep(1)
        for _ in range(rounds):
            found = []
            for change in ("pause", "resume"):
                await client.ask("POST", f"{replay}/{change}")
                await asyncio.sleep(0.5)
                found.append(await _phase(node, client, replay, live, seconds))
            alone, beside = found
            rounds_of.append((alone, beside))
            print(f"alone: {alone} | beside: {beside}", flush=True)  # noqa: T201 a command line
        publishing[0].cancel()
        await asyncio.wait(publishing)
        print(_summary(rounds_of), flush=True)  # noqa: T201 as above


async def _phase(node: Node, client: Client, replay: str, live: Live, seconds: float) -> Phase:
    """Measure for so long."""
    live.latencies.clear()
    before, queued = await _commits(node), (await client.ask("GET", replay)).json()["delivered"]
    cpu = cpu_seconds(node.process.pid)
    await asyncio.sleep(seconds)
    latencies = sorted(live.latencies)
    cores = (cpu_seconds(node.process.pid) - cpu) / seconds
    commits = (await _commits(node) - before) / seconds
    done = ((await client.ask("GET", replay)).json()["delivered"] - queued) / seconds
    return Phase(latencies, commits, done, cores)


def _summary(rounds: Sequence[tuple[Phase, Phase]]) -> str:
    """Return the ratios beside ÷ alone: medians of the rounds with the smallest and the largest, then of all events."""
    lines = []
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        ratios = sorted(beside.at(share) / alone.at(share) for alone, beside in rounds)
        lines.append(f"{name} {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    alone, beside = (pooled(phases) for phases in zip(*rounds, strict=True))
    return f"median ratios: {', '.join(lines)}\nall alone:  {alone}\nall beside: {beside}"


async def _commits(node: Node) -> float:
    """Return how many transactions the node has committed."""
    request = urllib.request.Request(f"http://{node.host}:{node.port}/metrics")
    request.add_header("authorization", f"Bearer {OPERATOR_KEY}")
    with await asyncio.to_thread(urllib.request.urlopen, request) as response:
        found = _COMMITS.search(response.read())
    return 0.0 if found is None else float(found[1])


async def main(*, postgres: bool, rounds: int, seconds: float) -> None:
    """Measure on a fresh database."""
    with tempfile.TemporaryDirectory() as folder:
        async with databases("", Path(folder), postgres=postgres) as created:
            await measure(await created.create(Path(folder)), rounds=rounds, seconds=seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    asyncio.run(main(**vars(options)))
