"""Test an upgrade: nodes of the previous version continue on the schema of the first newer node."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from packhook.core.model import DeliveryStatus
from packhook.store.base import DeliveryFilter
from packhook.store.migrate import migrations
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START, ManualClock
from postgres.server import direct
from store.dialects import DIALECTS
from store.values import ACME, ALL, LEASE, OTHER, claim, delivered, event, publication, status_of
from upgrade.day import RecordingDb, execute_everything
from upgrade.freeze import FOLDER, made_by, missing_statements

FROZEN: Final = sorted(FOLDER.glob("postgres_*.json"))


def _name(path: Path) -> str:
    return path.stem


def _version(path: Path) -> int:
    return int(path.stem.removeprefix("postgres_"))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database of this version."""
    with DIALECTS["postgres"](tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def newer(url: str) -> AsyncIterator[PostgresStore]:
    """Open a node of this version."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    await store._open.outbox.close()  # the older node fans out
    yield store
    await store.close()


@pytest.fixture(params=FROZEN, ids=_name)
def day(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 as JSON has it
    """Return the recorded statements of a node of an earlier version."""
    return json.loads(request.param.read_text(), object_hook=_bytes)


async def test_an_older_node_continues_beside_a_newer_one(url: str, newer: PostgresStore, day: Any) -> None:  # noqa: ANN401 as above
    """Every recorded statement has the same result on the new schema; the newer node continues from there."""
    async with direct(url) as older:
        for index, values, expected in day["steps"]:
            statement = day["statements"][index]
            found = [list(row) for row in await older.fetch(statement, *values)]
            assert sorted(found, key=repr) == sorted(expected, key=repr), statement
    await _check_continuation(newer)


def _bytes(found: dict[str, Any]) -> Any:  # noqa: ANN401 as JSON has it
    return base64.b64decode(found["bytes"]) if set(found) == {"bytes"} else found


async def _check_continuation(newer: PostgresStore) -> None:
    """Check that a newer node reads, sends and settles the older node's deliveries, and new ones."""
    for name in (ACME, OTHER):
        listed = (await newer.list_deliveries(name, ALL, DeliveryFilter())).items
        assert listed
        for item in listed:
            _, attempts = await newer.get_delivery(name, item.id)
            assert len(attempts) == item.attempt_count
    await newer.publish(publication(event(OTHER)))
    left = await claim(newer, START + 100 * LEASE)
    assert left
    await newer.record([delivered(item, START + 100 * LEASE) for item in left])
    assert {await status_of(newer, item) for item in left} == {DeliveryStatus.DELIVERED}


@pytest.mark.parametrize("frozen", FROZEN, ids=_name)
def test_released_migrations_are_never_changed(frozen: Path) -> None:
    """A database that has run a migration would not see the change."""
    assert json.loads(frozen.read_text())["made_by"] == made_by("postgres", _version(frozen))


def test_there_is_a_frozen_version() -> None:
    """The two tests above would pass without one."""
    assert FROZEN
    assert max(map(_version, FROZEN)) <= migrations("postgres")[-1].version


async def test_the_recording_has_every_statement_of_this_version(url: str) -> None:
    """The version must be frozen when it is released; a new statement goes into ``upgrade/day.py``."""
    async with direct(url) as connection:
        recording = RecordingDb(connection)
        recording.recorded = []
        await execute_everything(recording)
    assert missing_statements(recording) == set()
