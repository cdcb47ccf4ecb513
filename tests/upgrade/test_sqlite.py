"""Test that a newer packhook migrates a file of an older version and keeps everything in it."""

from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from packhook.core.model import DeliveryStatus
from packhook.store.base import DeliveryFilter
from packhook.store.migrate import migrations
from packhook.store.sqlite.store import SqliteStore
from packhook.testing.clock import START, ManualClock
from store.values import ACME, ALL, OTHER, claim, delivered
from upgrade.freeze import FOLDER, made_by

FROZEN: Final = sorted(FOLDER.glob("sqlite_*.sql"))
CHANGES_AT_START: Final = {"lanes", "interruptions"}  # leased deliveries are due again, and may have been sent

Tables = dict[str, list[dict[str, Any]]]


def _name(path: Path) -> str:
    return path.stem


@pytest.fixture(params=FROZEN, ids=_name)
def old_file(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the path of a file that this version wrote."""
    path = str(tmp_path / "packhook.db")
    db = apsw.Connection(path)
    db.execute(request.param.read_text())
    db.close()
    return path


def _tables(path: str) -> Tables:
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    found: Tables = {}
    for (name,) in list(db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")):
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        rows = db.execute(f"SELECT * FROM {name}")  # noqa: S608 the schema's own names
        found[name] = [dict(zip(columns, row, strict=True)) for row in rows]
    db.close()
    return found


async def test_an_older_file_is_migrated_with_everything_in_it(old_file: str) -> None:
    """Every row has its values; a leased delivery is due again."""
    before = _tables(old_file)
    store = SqliteStore(old_file, ManualClock())
    await store.open()
    await store.ping()
    await store.close()
    after = _tables(old_file)
    assert all(before.values())  # a table without rows would prove nothing
    assert all(row in after["interruptions"] for row in before["interruptions"])
    for name, rows in before.items():
        if name in CHANGES_AT_START:
            continue
        for was in rows:
            if was.get("status") == "sending":
                was |= {"status": "pending", "lease": 0, "claimable_at": START, "updated_at": START}
        assert [{key: row[key] for key in was} for was, row in zip(rows, after[name], strict=True)] == rows, name


async def test_an_older_file_serves(old_file: str) -> None:
    """Its pending deliveries are sent, and sent ones are read."""
    store = SqliteStore(old_file, ManualClock())
    await store.open()
    left = await claim(store, START)
    assert left
    await store.record([delivered(item, START) for item in left])
    for name in (ACME, OTHER):
        for item in (await store.list_deliveries(name, ALL, DeliveryFilter())).items:
            found, attempts = await store.get_delivery(name, item.id)
            assert (found.status, len(attempts)) == (DeliveryStatus.DELIVERED, found.attempt_count)
    await store.close()


@pytest.mark.parametrize("frozen", FROZEN, ids=_name)
def test_released_migrations_are_never_changed(frozen: Path) -> None:
    """A file that has run a migration would not see the change."""
    version = int(frozen.stem.removeprefix("sqlite_"))
    assert version <= migrations("sqlite")[-1].version
    assert frozen.read_text().splitlines()[0] == f"-- {made_by('sqlite', version)}"
