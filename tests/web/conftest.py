"""Serve the dashboard of a shop with a day behind it, and sign in to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import pytest

from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, application
from web.html import Document
from web.sample import Shop, fill

T = TypeVar("T")

LOOPBACK: Final[dict[str, Any]] = {
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
    async def serving(self, folder: Path) -> AsyncIterator[None]:
        """Serve while the block runs."""
        async with application(folder, self.clock, **LOOPBACK) as (api, self.service, self.store):
            self.url = str(api.base_url).rstrip("/")
            self.shop = await fill(self.service, self.store, self.clock, Settings(**LOOPBACK))
            yield


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the shop's dashboard in a thread, for all tests of a worker."""
    loop = asyncio.new_event_loop()
    found = Served(loop)
    ready, done = threading.Event(), asyncio.Event()
    problems: list[BaseException] = []

    async def serve() -> None:
        async with found.serving(tmp_path_factory.mktemp("dashboard")):
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


class Browser:
    """Read pages and send their forms, as a browser without JavaScript does."""

    def __init__(self, served: Served) -> None:
        self.client = httpx.Client(base_url=served.url, timeout=30)

    def sign_in(self, key: str = OPERATOR_KEY) -> httpx.Response:
        """Sign in through the form."""
        page = self.read("/dashboard/sign-in")
        return self.send(page, "/dashboard/sign-in", key=key)

    def read(self, path: str, status: int = 200) -> Document:
        """Return a page that has this status."""
        response = self.client.get(path)
        assert response.status_code == status, f"{path}: {response.status_code}\n{response.text[:2000]}"
        return Document(response.text)

    def send(self, page: Document, action: str, **fields: str | list[str]) -> httpx.Response:
        """Send the form of a page that leads to ``action``, with these fields changed; follow no redirect."""
        return self.client.post(action, data={**page.form(action), **fields})

    def page_of(self, response: httpx.Response) -> Document:
        """Return the page that a form was answered with."""
        return Document(response.text)

    def follow(self, response: httpx.Response) -> Document:
        """Return the page that a form led to."""
        assert response.status_code == 303, f"{response.status_code}\n{response.text[:2000]}"
        return self.read(response.headers["location"])


@pytest.fixture
def stranger(served: Served) -> Iterator[Browser]:
    """Yield a browser that has not signed in."""
    browser = Browser(served)
    with browser.client:
        yield browser


@pytest.fixture
def browser(served: Served) -> Iterator[Browser]:
    """Yield the operator's browser."""
    browser = Browser(served)
    with browser.client:
        assert browser.sign_in().status_code == 303
        yield browser
