"""What all tests share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest
import uvloop

import sending

SLOW: Final = ("proof", "whole", "crash", "cli")
"""The folders of tests that take long, and wait for most of that: with them first, nobody is left alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first; otherwise in order."""
    items.sort(key=lambda item: next((n for n, name in enumerate(SLOW) if name in item.path.parts), len(SLOW)))


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Event loops to choose from: ``pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])`` runs a test on both."""
    marker = item.get_closest_marker("asyncio")
    if marker and "loop_factories" in marker.kwargs:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test by http and by https: what one promises, the other promises too."""
    monkeypatch.setattr(sending, "scheme", request.param)
    return str(request.param)
