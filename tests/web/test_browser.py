"""Test the pages in a browser: in light, dark and on a phone, without a complaint, and for everybody (axe)."""

from collections.abc import Iterator
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium

from web.chromium import VIEWS, chromium, signed_in
from web.pages import SEEN, address
from web.sample import raw_event
from web.served import Served

RULES: Final[dict[str, dict[str, object]]] = {
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}},
    "phone": {"runOnly": {"type": "rule", "values": ["target-size", "scrollable-region-focusable", "bypass"]}},
}
"""What axe looks at: everything once, and what the colours or the width change where they change."""


@pytest.fixture(scope="module")
def browser_program() -> Iterator[Chromium]:
    """Yield one Chromium for all tests of this file."""
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_is_seen_without_a_complaint(served: Served, browser_program: Chromium, view: str) -> None:
    """Find no error in the console, nothing wider than the window, and nothing that axe objects to."""
    context, page, complaints = signed_in(browser_program, served.url, view)
    axe, problems = Axe(), list[str]()
    for name in SEEN:
        page.goto(address(name, served.shop))
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        problems += [f"{name}: {width} pixels wider than the window"] if width > 0 else []
        found = axe.run(page, options=RULES[view]).response["violations"]
        problems += [f"{name}: {item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"][:2]]
    context.close()
    assert "\n".join(problems) == ""
    assert complaints == []


def test_keys_and_copies_work(served: Served, browser_program: Chromium) -> None:
    """Show the keys with `?`, walk rows with `j` and `k`, go to the overview with `g o`, copy an id."""
    context, page, complaints = signed_in(browser_program, served.url, "light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/dashboard/organizations")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert "acme" in page.locator("tr.at").inner_text()
    page.locator("tr.at .copy").click()
    page.get_by_text("copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "acme"
    page.keyboard.press("/")
    page.keyboard.type(served.shop.order)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/timeline?subject={served.shop.order}")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url("**/dashboard")
    context.close()
    assert complaints == []


def test_the_live_tail_goes_on_and_pauses(served: Served, browser_program: Chromium) -> None:
    """Show rows as they happen, hold them back while it is paused, and show them when it goes on."""

    def publish(order: str) -> None:
        event = raw_event("order.created", b'{"id": "%b"}' % order.encode())
        served.run(served.service.publisher.publish("acme", [event]))

    context, page, complaints = signed_in(browser_program, served.url, "light")
    page.goto("/dashboard/organizations/acme/live?subject=ord_shown")
    page.get_by_text("Live", exact=True).wait_for()
    publish("ord_hidden")
    publish("ord_shown")
    page.get_by_role("row").filter(has_text="ord_shown").wait_for()
    assert page.get_by_text("ord_hidden").count() == 0
    page.get_by_role("button", name="Pause").click()
    publish("ord_shown")
    page.get_by_text("Paused, 1 waiting").wait_for()
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("button", name="Resume").click()
    page.locator("tbody tr").nth(1).wait_for()
    context.close()
    assert complaints == []


def test_the_menu_of_a_phone_opens(served: Served, browser_program: Chromium) -> None:
    """Open the pages' list, and go to one of them."""
    context, page, complaints = signed_in(browser_program, served.url, "phone")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Organizations").click()
    page.get_by_role("heading", name="Organizations").wait_for()
    context.close()
    assert complaints == []
