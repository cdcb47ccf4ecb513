"""Configure all tests: check the installation, keep temporary files in memory, order the slow ones first."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
import uvloop

import packhook
from support import http_client, memory_folder

SLOW: Final = (
    "chaos",
    "e2e",
    "test_browser.py",
    "test_walk.py",
    "test_attempt_counts.py",
    "test_schemathesis.py",
    "cli",
    "test_installed.py",
    "test_from_zero.py",
    "test_examples.py",
)
"""Folders and files of slow tests. They start first, so that no worker is left with one at the end."""
_SOURCE: Final = Path(__file__).parents[1] / "src/packhook"


_folders: Final = pytest.StashKey[Path | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Exit unless the tests import packhook from this checkout. Use a folder in memory for temporary files."""
    installed = Path(packhook.__file__).parent
    if installed.resolve() != _SOURCE.resolve():
        pytest.exit(
            f"packhook is imported from {installed}, not from this checkout: the tests would test that copy.\n"
            "Install the checkout instead: pip install --no-deps --editable . (make does it by itself)",
            returncode=4,
        )
    config.stash[_folders] = memory_folder.make()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder."""
    folder = config.stash.get(_folders, None)
    if folder is not None:
        memory_folder.remove(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start slow tests first; otherwise keep the order."""
    items.sort(key=lambda item: next((n for n, name in enumerate(SLOW) if name in item.path.parts), len(SLOW)))


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops of a test: two for ``pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])``."""
    marker = item.get_closest_marker("asyncio")
    if marker and "loop_factories" in marker.kwargs:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test by http and by https: what one promises, the other promises too."""
    monkeypatch.setattr(http_client, "scheme", request.param)
    return str(request.param)
