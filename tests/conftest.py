"""What all tests share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

import sending


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Event loops to choose from: ``pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])`` runs a test on both."""
    marker = item.get_closest_marker("asyncio")
    if marker and "loop_factories" in marker.kwargs:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["plain", "libcurl"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of sending plain HTTP, one after the other: what one promises the other promises too."""
    monkeypatch.setattr(sending, "only_libcurl", request.param == "libcurl")
    return str(request.param)
