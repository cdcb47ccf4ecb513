"""Open pages in the system's Chromium, light, dark, and on a phone; collect what the browser complains about."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright

from support.api_node import OPERATOR_KEY

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWS: Final = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
"""How pages are looked at, by name."""


def executable() -> str:
    """Return the path of Chromium. Skip the test without one; fail it in continuous integration, which installs it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("no Chromium: continuous integration installs it (.ci/run), so that pages are tested in a browser")
    return found or pytest.skip("NOT TESTED IN A BROWSER: there is no Chromium; apt-get install chromium")


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run the browser while the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Chromium, url: str, view: str) -> tuple[BrowserContext, Page, list[str]]:
    """Sign in, and return the context, a page, and the complaints that it collects."""
    context = browser.new_context(base_url=url, **VIEWS[view])  # type: ignore[arg-type] # each view has two of its options
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/dashboard/sign-in")
    page.get_by_label("Operator key").fill(OPERATOR_KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    return context, page, complaints
