"""Run every test of the store on each dialect, on a fresh database with two organizations."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store
from packhook.testing.clock import ManualClock
from store.dialects import DIALECTS
from store.values import ACME, OTHER, FakeDispatcher, new_entry, organization


@pytest.fixture
def clock() -> ManualClock:
    """Return the store's clock; it moves only when a test advances it."""
    return ManualClock()


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database."""
    folder = tmp_path / "database"
    folder.mkdir()
    with DIALECTS[request.param](folder) as url:
        yield url


@pytest.fixture
async def empty_store(database: str, clock: ManualClock) -> AsyncIterator[Store]:
    """Yield an open, empty store."""
    opened = open_store(Settings(database=database), clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def store(empty_store: Store) -> Store:
    """Return an open store with two organizations."""
    await empty_store.create_organization(organization(ACME), new_entry())
    await empty_store.create_organization(organization(OTHER), new_entry())
    return empty_store


@pytest.fixture
def dispatcher(store: Store) -> FakeDispatcher:
    """Attach a dispatcher without capacity, which a test may raise, and return it."""
    engine = FakeDispatcher()
    store.attach(engine)
    return engine
