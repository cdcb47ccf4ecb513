"""Test a database whose disk is full: a small one is mounted for it."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from packhook.core.errors import Unavailable
from packhook.store.base import DeliveryFilter, PageRequest
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START, ManualClock
from postgres.server import TEMPLATE, running
from store.disks import SmallDisk, tiny_disk
from store.values import (
    ACME,
    add_webhook,
    attempt,
    claim_one,
    delivered,
    event,
    new_entry,
    organization,
    publication,
    publish,
)
from support.values import replaced

MIB = 1024 * 1024


@pytest.fixture
def full() -> Iterator[tuple[str, SmallDisk]]:
    """Yield a database on a small disk; the server's write-ahead log is on another."""
    with tempfile.TemporaryDirectory(prefix="packhook-disk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with tiny_disk(folder, 40, 20) as disk, running() as server:
            place = folder / "tablespace"
            place.mkdir()
            shutil.chown(place, "pgserver")  # the user that the server runs as if we are root
            server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
            with server.database(TEMPLATE, "TABLESPACE small") as url:
                yield url, disk
            server.run("DROP TABLESPACE small")


@pytest.fixture
async def node(full: tuple[str, SmallDisk]) -> AsyncIterator[PostgresStore]:
    """Open a node on it, with an organization and a webhook."""
    store = PostgresStore(full[0], ManualClock())
    await store.open()
    await store.create_organization(organization(ACME), new_entry())
    await add_webhook(store)
    yield store
    await store.close()


async def test_a_full_disk_is_unavailable_and_then_goes_on(full: tuple[str, SmallDisk], node: PostgresStore) -> None:
    """Acknowledged events are stored, refused ones are not, not even in part; with free space writes succeed again."""
    await publish(node)
    leased = await claim_one(node, START)
    stored = 1 + await _fill(node, 200_000) + await _fill(node, 10)
    await _holds(node, stored)
    full[1].make_room()
    result = delivered(leased, START)
    large = attempt(leased, START, response_body=os.urandom(MIB))
    assert await node.record([replaced(result, attempt=large)]) == [True]
    await publish(node)
    await _holds(node, stored + 1)


async def _fill(node: PostgresStore, size: int) -> int:
    """Publish events of this size until the disk is full; return how many were stored."""
    for count in range(10_000):
        data = b'{"id":"%s"}' % os.urandom(size // 2).hex().encode()
        try:
            await node.publish(publication(event(data=data)))
        except Unavailable as error:
            if "DiskFull" not in error.detail:
                raise
            return count
    raise AssertionError("the disk is larger than that")


async def _holds(node: PostgresStore, count: int) -> None:
    """Check that ``count`` events are stored, each with its delivery."""
    found = await node.list_events(ACME, PageRequest(limit=20_000))
    assert len(found.items) == count
    listed = (await node.list_deliveries(ACME, PageRequest(limit=20_000), DeliveryFilter())).items
    assert sorted(item.event_id for item in listed) == sorted(item.id for item in found.items)
