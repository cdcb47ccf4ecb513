"""Test the portal in a frame of another page, in a browser: by the host page of the guide, and across sites."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from docs.pages import blocks, read
from packhook.core.clock import SystemClock
from support.api_node import OPERATOR_KEY, application, bearer
from web.chromium import VIEWS, chromium
from web.served import Served
from web.test_browser import RULES

_HOST_PAGE: Final = blocks(read("how-to/give-your-customers-a-portal.md"), "python")[0]


@pytest.fixture(scope="module")
def browser_program() -> Iterator[Chromium]:
    """Yield one Chromium for all tests of this file."""
    with chromium() as browser:
        yield browser


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
        """Write no log."""


@contextmanager
def hosting(page: Any, host: str) -> Iterator[str]:  # noqa: ANN401 a WSGI application
    """Serve a host page, and yield its URL."""
    with make_server("127.0.0.1", 0, page, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def watched(browser: Chromium) -> tuple[Page, list[str]]:
    """Return a new page, and what the browser complains about."""
    page = browser.new_context(**VIEWS["light"]).new_page()  # type: ignore[arg-type] # each view has two of its options
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def test_the_host_page_of_the_guide(served: Served, browser_program: Chromium, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find out in the frame why an endpoint fails, and replay what it missed."""
    made = httpx.post(
        f"{served.url}/v1/organizations/northwind/api-keys",
        json={"scopes": ["webhooks:read", "webhooks:write", "events:read"]},
        headers=bearer(OPERATOR_KEY),
    ).json()
    monkeypatch.setenv("PACKHOOK_KEY", made["key"])
    monkeypatch.setenv("PACKHOOK_SERVER", served.url.replace("127.0.0.1", "localhost"))
    names: dict[str, Any] = {"__name__": "host"}
    exec(compile(_HOST_PAGE.replace("/acme/", "/northwind/"), "host", "exec"), names)  # noqa: S102 the guide's own code
    page, complaints = watched(browser_program)
    with hosting(names["page"], "localhost") as url:
        page.goto(url)
        frame = page.frame_locator("iframe")
        frame.get_by_role("link", name="Failing", exact=True).click()
        frame.locator("td.endpoint a").first.click()
        frame.get_by_role("status").first.wait_for()
        assert "No delivery has succeeded since" in frame.get_by_role("status").first.inner_text()
        assert frame.get_by_role("button", name="Show secret").count() == 0
        frame.get_by_role("link", name="Replay", exact=True).click()
        frame.get_by_label("All of these").check()
        frame.get_by_label("Published since").fill("2026-11-29T12:00")
        frame.get_by_role("button", name="Preview").click()
        frame.get_by_role("button", name="Send").click()
        frame.get_by_role("heading", name="Replay of events all").wait_for()
        assert "Northwind Shop" in frame.locator(".brand").first.inner_text()
        page.reload()
        frame.get_by_role("heading", name="Northwind").first.wait_for()
    page.context.close()
    assert [text for text in complaints if "favicon" not in text] == []


def test_pages_are_seen_without_a_complaint(served: Served, browser_program: Chromium) -> None:
    """With the platform's colour, nothing that axe objects to; the dashboard's test looks at the same pages closer."""
    link = httpx.post(
        f"{served.url}/v1/organizations/northwind/portal-sessions",
        json={"capabilities": ["view", "manage", "replay", "secrets"]},
        headers=bearer(OPERATOR_KEY),
    ).json()["url"]
    page, complaints = watched(browser_program)
    page.goto(link)
    base = f"{served.url}/portal/organizations/northwind"
    webhook = f"{base}/webhooks/{served.shop.failing.id}"
    problems = list[str]()
    for address in (base, f"{webhook}/edit", f"{base}/deliveries/{served.shop.failed_delivery}"):
        page.goto(address)
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        problems += [f"{address}: {width} pixels wider than the window"] if width > 0 else []
        found = Axe().run(page, options=RULES).response["violations"]
        problems += [f"{address}: {item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"][:2]]
    page.context.close()
    assert (problems, complaints) == ([], [])


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[str]:  # noqa: ANN401 any setting
    """Run an application in a thread, and yield its URL."""
    loop = asyncio.new_event_loop()
    ready: asyncio.Future[str] = loop.create_future()
    done = asyncio.Event()

    async def serve() -> None:
        async with application(folder, SystemClock(), **settings) as (api, _, _):
            ready.set_result(str(api.base_url).rstrip("/"))
            await done.wait()

    async def url() -> str:
        return await ready

    task = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(url(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(30)
        loop.close()


def test_a_frame_of_another_site(tmp_path: Path, browser_program: Chromium) -> None:
    """By https the cookie works in a frame of another site. Chromium takes http://localhost for as good as https."""
    settings = {"public_url": "https://hooks.example.com", "portal_frame_ancestors": "http://127.0.0.1:*"}
    with (
        serving(tmp_path, **settings) as server,
        httpx.Client(base_url=server, headers=bearer(OPERATOR_KEY), timeout=30) as api,
    ):
        api.post("/v1/organizations", json={"id": "acme"})

        def link() -> str:
            made = api.post("/v1/organizations/acme/portal-sessions", json={}).json()["url"]
            return str(made).replace("https://hooks.example.com", server.replace("127.0.0.1", "localhost"))

        cookie = httpx.get(link().replace("localhost", "127.0.0.1")).headers["set-cookie"]
        assert cookie.endswith("; HttpOnly; Secure; SameSite=None; Partitioned")

        def page(_environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 WSGI's
            start_response("200 OK", [("content-type", "text/html")])
            return [f'<!doctype html><title>Shop</title><iframe title="Webhooks" src="{link()}"></iframe>'.encode()]

        shown, _ = watched(browser_program)
        with hosting(page, "127.0.0.1") as url:
            shown.goto(url)
            shown.frame_locator("iframe").get_by_role("heading", name="acme").wait_for()
        refused, complaints = watched(browser_program)
        with hosting(page, "localhost") as url:  # no origin that may
            refused.goto(url)
            refused.wait_for_timeout(0)
            assert refused.frame_locator("iframe").get_by_role("heading", name="acme").count() == 0
            refused.wait_for_function("document.querySelector('iframe') !== null")
        assert any("frame-ancestors" in text for text in complaints)
        shown.context.close()
        refused.context.close()
