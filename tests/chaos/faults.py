"""Inject faults into the cluster while orders are published, one after another."""

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import asyncpg
from msgspec import Struct

from benchmarks.postgres_server import PostgresServer
from chaos.cluster import SETTINGS, Cluster
from chaos.crashing_node import CRASH_POINTS
from chaos.history import count_old_rows
from chaos.server import StartedServer
from support.mounts import ResizableDisk

RANDOM_KILLS: Final = 4
DOWNTIME_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.02
LOCKED_SECONDS: Final = 7.0
FULL_BYTES: Final = 64 * 1024
MAX_FILLERS: Final = 1_000
CRASH_TIMEOUT_SECONDS: Final = 30.0


class Fault(Struct, frozen=True):
    """Describe a fault; ``inject`` returns whether it happened."""

    name: str
    inject: Callable[[], Awaitable[bool]]


def faults(
    cluster: Cluster,
    started: StartedServer | None,
    seed: int,
    freeze: float,
    database: str,
    publish_large: Callable[[], Awaitable[None]],
) -> Iterator[Fault]:
    """Yield all faults in their order; ``started``: the database server that may be killed too.

    ``publish_large`` publishes a large call.
    """
    chance = random.Random(seed)
    for _ in range(RANDOM_KILLS):
        yield Fault("a node killed at random", partial(_kill, cluster, chance.randrange(len(cluster))))
    for point in CRASH_POINTS:
        inject = partial(_crash_at, cluster, point, chance.randint(1, 5))
        yield Fault(f"a node killed {point.replace('-', ' ')}", inject)
    yield Fault(
        f"a node frozen for {freeze:g} s and resumed, leases last {SETTINGS['PACKHOOK_LEASE_DURATION']}",
        partial(_freeze, cluster, chance.randrange(len(cluster)), freeze),
    )
    yield Fault("a rolling restart", partial(_restart_in_turn, cluster))
    yield Fault("every node killed at once", partial(kill_all, cluster))
    yield Fault("every node stopped at once", partial(stop_all, cluster))
    yield Fault("every node killed right after a large call", partial(_kill_after, cluster, publish_large))
    if database.startswith("sqlite"):
        yield Fault("the file locked by another process", partial(_lock_file, database.removeprefix("sqlite:///")))
        yield Fault("the disk full", partial(_fill_disk, cluster))
    if started is None:
        return
    if started.disk is not None:
        yield Fault("the disk of the database full", partial(_fill_disk_of_server, started.disk, database))
    yield Fault("the database killed and restarted", partial(_restart_database, started.server))


async def _kill(cluster: Cluster, number: int) -> bool:
    cluster.send_signal(number, signal.SIGKILL)
    return True


async def kill_in_retention(cluster: Cluster, database: str, old_rows: int) -> bool:
    """Kill every node once retention, which begins when they start, has removed some of the old rows, and not all."""
    left = old_rows
    try:
        async with asyncio.timeout(CRASH_TIMEOUT_SECONDS):
            while left == old_rows:
                await asyncio.sleep(LOOK_SECONDS)  # a node of another process signals nothing
                left = await count_old_rows(database)
    except TimeoutError:
        return False
    await kill_all(cluster)
    return left > 0


async def _restart_in_turn(cluster: Cluster) -> bool:
    """Stop a node, wait until all respond again, then stop the next: as an upgrade does."""
    for number in range(len(cluster)):
        before = cluster.restarts
        cluster.send_signal(number, signal.SIGTERM)
        await cluster.wait_for_restart(before)
    return True


async def kill_all(cluster: Cluster) -> bool:
    """Kill every node; the cluster starts them again."""
    for number in range(len(cluster)):
        cluster.send_signal(number, signal.SIGKILL)
    return True


async def _kill_after(cluster: Cluster, publish_large: Callable[[], Awaitable[None]]) -> bool:
    """Kill the nodes once a call is answered: SQLite has yet to make its deliveries."""
    await publish_large()
    return await kill_all(cluster)


async def stop_all(cluster: Cluster) -> bool:
    """Stop every node, with attempts in flight; the cluster starts them again."""
    for number in range(len(cluster)):
        cluster.send_signal(number, signal.SIGTERM)
    return True


async def _lock_file(path: str) -> bool:
    """Lock the SQLite file for longer than a node waits for it."""
    other = sqlite3.connect(path, isolation_level=None, timeout=DOWNTIME_SECONDS)
    try:
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(LOCKED_SECONDS)
        other.execute("ROLLBACK")
    finally:
        other.close()
    return True


async def _fill_disk(cluster: Cluster) -> bool:
    """Let the nodes' writes to the database fail for a while, as on a full disk; their logs are smaller than that."""
    cluster.limit_file_size(FULL_BYTES)
    await asyncio.sleep(DOWNTIME_SECONDS)
    cluster.limit_file_size(-1)
    return True


async def _fill_disk_of_server(disk: ResizableDisk, database: str) -> bool:
    """Let the database's disk be full for a while; return whether the server said so."""
    disk.fill()
    try:
        happened = await _is_full(database)
        await asyncio.sleep(DOWNTIME_SECONDS)
    finally:
        disk.make_room()
    return happened


async def _is_full(database: str) -> bool:
    """Write until the server has no space left: pages that it has allocated before still take something."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS public.filler (data bytea)")
        for _ in range(MAX_FILLERS):
            await connection.execute("INSERT INTO public.filler VALUES ($1)", os.urandom(FULL_BYTES))
    except asyncpg.DiskFullError:
        return True
    finally:
        await connection.close()
    return False


async def _crash_at(cluster: Cluster, point: str, times: int) -> bool:
    try:
        async with asyncio.timeout(CRASH_TIMEOUT_SECONDS):
            await cluster.crash_at(0, point, times)
    except TimeoutError:
        return False
    return True


async def _freeze(cluster: Cluster, number: int, seconds: float) -> bool:
    cluster.send_signal(number, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    cluster.send_signal(number, signal.SIGCONT)
    return True


async def _restart_database(server: PostgresServer) -> bool:
    await server.kill()
    await asyncio.sleep(DOWNTIME_SECONDS)
    await server.start()
    return True
