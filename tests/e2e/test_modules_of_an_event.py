"""How many modules an event passes through: what somebody who follows it has to open."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx

import packhook
from packhook.core.clock import SystemClock
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress_proxy import open_egress
from packhook.node import Node
from packhook.settings import Settings
from packhook.store.open import open_store
from packhook.testing import Receiver
from support.api_node import OPERATOR_KEY, bearer, listening
from support.http_client import LOOPBACK

MOST_MODULES: Final = 38
EVENTS, MOST_EVENTS = 8, 64
"""What runs beside one of these, such as a timer, is not on the way of all of them; on a slow machine beside many."""

SOURCES: Final = Path(packhook.__file__).parent
EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}
SUBSCRIPTION: Final = {"event_code": "order.created", "secret": "q9NhjkjV9o"}


async def test_an_event_passes_through_few_modules(tmp_path: Path) -> None:
    """From the first byte of its publish request to the recorded delivery, once the node knows its webhook."""
    found: list[set[str]] = []
    on_the_way: set[str] = set()
    database = f"sqlite:///{tmp_path / 'packhook.db'}"
    settings = Settings(database=database, operator_key=OPERATOR_KEY, egress_allow=LOOPBACK, allow_http=True)
    async with (
        running(settings) as url,
        Receiver() as receiver,
        httpx.AsyncClient(base_url=f"{url}/v1/", headers=bearer(OPERATOR_KEY)) as api,
    ):
        await api.post("organizations", json={"id": "northwind"})
        await api.post("organizations/northwind/webhooks", json={**SUBSCRIPTION, "endpoint": receiver.url})
        while len(found) < EVENTS or (len(on_the_way) > MOST_MODULES and len(found) < MOST_EVENTS):
            with called_modules() as (modules, recorded):
                published = await api.post("organizations/northwind/events", json=EVENT)
                assert (published.status_code, published.json()["deliveries"]) == (202, 1)
                await recorded.wait()
            found.append(modules)
            on_the_way = set.intersection(*found)
    assert len(receiver.received) == len(found)
    assert 0 < len(on_the_way) <= MOST_MODULES, " ".join(sorted(on_the_way))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """Run a node with its HTTP server in this process, and yield its URL."""
    store, client = open_store(settings, SystemClock()), HttpClient(open_egress(settings))
    await store.open()
    await client.open()
    node = Node(store, client, settings, SystemClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(node.run())
        async with listening(node.service, settings) as (url, _):
            yield url
        node.stop()
    await client.close()
    await store.close()


@contextmanager
def called_modules() -> Iterator[tuple[set[str], asyncio.Event]]:
    """Yield the modules in which a function is called meanwhile, and what is set when a delivery is recorded."""
    modules: set[str] = set()
    recorded = asyncio.Event()

    def profile(frame: FrameType, event: str, _: Any) -> None:  # noqa: ANN401 whatever Python passes
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SOURCES) and not path.is_relative_to(SOURCES / "testing"):
            modules.add(str(path.relative_to(SOURCES)))
            if event == "return" and frame.f_code.co_qualname == "Recorder._report":
                recorded.set()

    sys.setprofile(profile)
    try:
        yield modules, recorded
    finally:
        sys.setprofile(None)
