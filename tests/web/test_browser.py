"""Test the pages in a browser: in light, dark and on a phone, without a complaint, and for everybody (axe)."""

from collections.abc import Iterator
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, ViewportSize

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
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
NARROW: Final = 320


@pytest.fixture(scope="module")
def browser_program() -> Iterator[Chromium]:
    """Yield one Chromium for all tests of this file."""
    with chromium() as browser:
        yield browser


def _too_wide(page: Page, name: str) -> list[str]:
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{name}: {width} pixels wider than the window"] if width > 0 else []


def _objections(axe: Axe, page: Page, name: str, rules: dict[str, object]) -> list[str]:
    """Return what axe says about the page as it is, and whether it is wider than its window."""
    found = axe.run(page, options={**rules, "resultTypes": ["violations"]}).response["violations"]
    nodes = [f"{name}: {item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"][:2]]
    return [*nodes, *_too_wide(page, name)]


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_is_seen_without_a_complaint(served: Served, browser_program: Chromium, view: str) -> None:
    """Find no error in the console, nothing wider than the window, and nothing that axe objects to."""
    context, page, complaints = signed_in(browser_program, served.url, view)
    axe, problems = Axe(), list[str]()
    for name in SEEN:
        page.goto(address(name, served.shop))
        problems += _objections(axe, page, name, RULES[view])
        if view == "phone":  # as a window of 1,280 pixels is at 400 %
            page.set_viewport_size({"width": NARROW, "height": 640})
            problems += _too_wide(page, f"{name} at {NARROW}")
            page.set_viewport_size(PHONE)
    context.close()
    assert "\n".join(problems) == ""
    assert complaints == []


def test_what_forms_lead_to_is_for_everybody(served: Served, browser_program: Chromium) -> None:
    """Have axe look at errors, a dialog, a preview, an exchange and a secret, which no address shows."""
    axe, problems = Axe(), list[str]()

    def look(name: str) -> None:
        problems.extend(_objections(axe, page, name, RULES["light"]))

    stranger = browser_program.new_context(base_url=served.url)
    page = stranger.new_page()
    page.goto("/dashboard/sign-in")
    page.get_by_label("Operator key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    look("a wrong key")
    stranger.close()
    context, page, _ = signed_in(browser_program, served.url, "light")
    page.keyboard.press("?")
    look("the keys")
    page.goto("/dashboard/nothing")
    look("an error")
    page.goto("/dashboard/organizations/northwind/deliveries?since=nonsense")
    look("a filter that is wrong")
    page.goto("/dashboard/organizations/acme/new-webhook")
    page.get_by_label("Endpoint").fill("ftp://shop.example")
    page.get_by_role("button", name="Create webhook").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Endpoint").input_value() == "ftp://shop.example"
    look("a field that is wrong")
    webhook = f"/dashboard/organizations/northwind/webhooks/{served.shop.well.id}"
    page.goto(f"{webhook}/replay?select=delivered")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("They are sent after live events.").wait_for()
    look("a preview")
    page.goto(webhook)
    page.get_by_role("button", name="Show secret").click()
    page.get_by_role("heading", name="The secret").wait_for()
    look("a secret")
    context.close()
    assert "\n".join(problems) == ""


def test_keys_and_copies_work(served: Served, browser_program: Chromium) -> None:
    """Show the keys with `?`, walk rows, search, go to the overview with `g o`, copy an id; turn the keys off."""
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
    page.get_by_role("button", name="? keys").click()
    page.get_by_label("Use these keys in this browser").uncheck()
    page.keyboard.press("Escape")
    page.goto("/dashboard/webhooks")
    page.keyboard.press("j")
    assert page.locator("tr.at").count() == 0
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
