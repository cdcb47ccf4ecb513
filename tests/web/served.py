"""Serve the dashboard of a shop with a day behind it, in a thread: for tests, and for the pictures of the docs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from packhook.core.clock import DAY
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.testing import ManualClock
from store.refusing import give_up
from support.api_node import application
from web.sample import ORGANIZATION, Shop, fill

T = TypeVar("T")

SETTINGS: Final[dict[str, Any]] = {
    "egress_allow": "127.0.0.0/8",
    "allow_http": True,
    "portal_name": "Northwind Shop",
    "portal_color": "#0a6640",
    "portal_frame_ancestors": "http://localhost:*",
}
NOW: Final = 1_796_032_800_000  # 2026-11-30T10:00:00Z


class Served:
    """Hold a served dashboard: its address, what is in it, and the parts behind it. ``run`` works on its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.url = ""
        self.clock = ManualClock(NOW)
        self.folder: Path
        self.shop: Shop
        self.service: Service
        self.store: Store

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of work on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the same to a test that has a loop of its own."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    @asynccontextmanager
    async def serving(self, folder: Path, *, hostile: bool, database: str, history: int) -> AsyncIterator[None]:
        """Serve while the block runs."""
        self.folder = folder
        async with application(folder, self.clock, database=database, **SETTINGS) as (api, self.service, self.store):
            self.url = str(api.base_url).rstrip("/")
            self.shop = await fill(self.service, self.store, self.clock, Settings(**SETTINGS), history, hostile=hostile)
            if hostile and not database:
                give_up(folder, ORGANIZATION, self.shop.event)
            yield


@contextmanager
def serving(folder: Path, *, hostile: bool = True, database: str = "", history: int = DAY) -> Iterator[Served]:
    """Serve while the block runs, on SQLite in a folder unless ``database`` is the URL of another one.

    ``hostile``: one of the receivers is, and another one's certificate has expired. ``history``: how long the shop has
    published.
    """
    loop = asyncio.new_event_loop()
    found = Served(loop)
    ready, done = threading.Event(), asyncio.Event()
    problems: list[BaseException] = []

    async def serve() -> None:
        async with found.serving(folder, hostile=hostile, database=database, history=history):
            ready.set()
            await done.wait()

    def main() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as problem:  # noqa: BLE001 the fixture raises it
            problems.append(problem)
            ready.set()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert ready.wait(60), "the dashboard did not start"
    if problems:
        raise problems[0]
    yield found
    loop.call_soon_threadsafe(done.set)
    thread.join(30)
    loop.close()
