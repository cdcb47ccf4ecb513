"""Give a database events past retention before any node runs, and count what is left of them.

They are a day old, and the nodes keep events for twelve hours: so retention removes them while everything else happens.
"""

import asyncio
from typing import Final

import apsw
import asyncpg

from benchmarks.plan import Plan
from benchmarks.preload import preload
from packhook.core.audit import NODE, Action, entry
from packhook.core.clock import SystemClock
from packhook.core.model import Organization
from packhook.settings import Settings
from packhook.store.open import open_store

SETTINGS: Final = {"PACKHOOK_RETENTION": "12h"}
_ORGANIZATION: Final = "history"
_COUNTS: Final = (
    "SELECT count(*) FROM {schema}events WHERE organization_id = 'history'",
    "SELECT count(*) FROM {schema}deliveries WHERE organization_id = 'history'",
    "SELECT count(*) FROM {schema}attempts WHERE delivery_id LIKE 'dlv_____________700000000000%'",
)
ROWS_PER_EVENT: Final = len(_COUNTS)


async def add_old_events(database: str, count: int) -> None:
    """Make the schema, and write delivered events of one organization, each with a delivery and an attempt."""
    clock = SystemClock()
    store = open_store(Settings(database=database), clock)
    await store.open()
    try:
        made = Organization(id=_ORGANIZATION, name=_ORGANIZATION, created_at=clock.now())
        action = Action.ORGANIZATION_CREATED
        await store.create_organization(
            made, entry(action, NODE, clock.now(), organization_id=_ORGANIZATION, object_id=_ORGANIZATION)
        )
    finally:
        await store.close()
    plan = Plan(history=count, payload=600)
    await preload(database, plan, [(_ORGANIZATION, "wh_history")], [], lambda _: None)


async def count_old_rows(database: str) -> int:
    """Return how many events, deliveries and attempts are left of them; ROWS_PER_EVENT for each event at first."""
    if database.startswith("sqlite"):
        return sum(await asyncio.to_thread(_count_in_file, database.removeprefix("sqlite:///")))
    connection = await asyncpg.connect(database)
    try:
        return sum([int(await connection.fetchval(text.format(schema="packhook."))) for text in _COUNTS])
    finally:
        await connection.close()


def _count_in_file(path: str) -> list[int]:
    file = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    file.set_busy_timeout(5_000)
    try:
        return [int(count) for text in _COUNTS for (count,) in file.execute(text.format(schema=""))]
    finally:
        file.close()
