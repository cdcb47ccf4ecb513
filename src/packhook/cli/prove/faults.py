"""What is done to the house while orders are under way, one fault after another."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from msgspec import Struct

from packhook.cli.prove.database import Database
from packhook.cli.prove.house import SETTINGS, House
from packhook.cli.prove.node import STEPS

RANDOM_KILLS: Final = 4
AWAY_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 30.0


class Fault(Struct, frozen=True):
    """A fault in words, and how it is done; answers whether it came about."""

    name: str
    do: Callable[[], Awaitable[bool]]


def faults(house: House, database: Database, seed: int, freeze: float) -> Iterator[Fault]:
    """All of them, in their order."""
    chance = random.Random(seed)  # noqa: S311 whose turn it is
    for _ in range(RANDOM_KILLS):
        yield Fault("a node killed at random", partial(_kill, house, chance.randrange(len(house))))
    for step in STEPS:
        yield Fault(f"a node killed {step.replace('-', ' ')}", partial(_die_at, house, step, chance.randint(1, 5)))
    yield Fault(
        f"a node frozen for {freeze:g} s and let go, leases last {SETTINGS['PACKHOOK_LEASE_DURATION']}",
        partial(_freeze, house, chance.randrange(len(house)), freeze),
    )
    yield Fault("every node killed at once", partial(_kill_all, house))
    if database.is_ours:
        yield Fault("the database killed and restarted", partial(_take_away, database))


async def _kill(house: House, number: int) -> bool:
    house.send(number, signal.SIGKILL)
    return True


async def _kill_all(house: House) -> bool:
    for number in range(len(house)):
        house.send(number, signal.SIGKILL)
    return True


async def _die_at(house: House, step: str, times: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await house.restart_to_die(0, step, times)
    except TimeoutError:
        return False
    return True


async def _freeze(house: House, number: int, seconds: float) -> bool:
    house.send(number, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    house.send(number, signal.SIGCONT)
    return True


async def _take_away(database: Database) -> bool:
    await database.kill()
    await asyncio.sleep(AWAY_SECONDS)
    await database.start()
    return True
