"""Test the whole way in a browser: an endpoint fails, find out why, fix it, replay what failed, see it delivered."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import FrameLocator, Page, expect

from docs.pages import blocks, read
from packhook.core.model import DeliveryStatus
from support.api_node import OPERATOR_KEY, SENDING, bearer, running_node
from web.chromium import chromium, signed_in
from web.test_portal_frame import hosting, watched

_HOST_PAGE: Final = blocks(read("how-to/give-your-customers-a-portal.md"), "python")[0]
_EVENTS: Final = 2
_PATH: Final = "/hooks/orders"


@pytest.fixture(scope="module")
def browser_program() -> Iterator[Chromium]:
    """Yield one Chromium for all tests of this file."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a node that sends, and gives up soon."""
    frames = {"portal_frame_ancestors": "http://localhost:*", "portal_name": "Shop"}
    with running_node(tmp_path_factory.mktemp("node"), **SENDING, **frames) as url:
        yield url


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """Yield the URL of a receiver that has one path; it knows no other."""

    def respond(environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ANN401 WSGI's
        is_there = environ["PATH_INFO"] == _PATH
        start_response("200 OK" if is_there else "404 Not Found", [("content-type", "text/plain")])
        return [b"taken" if is_there else b"no such page"]

    with hosting(respond, "127.0.0.1") as url:
        yield url.rstrip("/")


def failing(node: str, receiver: str, organization: str) -> None:
    """Create an organization whose webhook has a wrong path, and let its deliveries fail until they are given up."""
    with httpx.Client(base_url=f"{node}/v1", headers=bearer(OPERATOR_KEY), timeout=30) as api:
        api.post("/organizations", json={"id": organization, "name": "Northwind"}).raise_for_status()
        base = f"/organizations/{organization}"
        wrong = {"event_code": "order.created", "endpoint": f"{receiver}/hooks/order", "secret": "q9NhjkjV9o"}
        api.post(f"{base}/webhooks", json=wrong).raise_for_status()
        for number in range(_EVENTS):
            order = {"event_code": "order.created", "data": {"id": f"ord_{number}"}}
            api.post(f"{base}/events", json=order).raise_for_status()
        wanted = {"status": DeliveryStatus.EXHAUSTED.value}
        while len(api.get(f"{base}/deliveries", params=wanted).json()["data"]) < _EVENTS:
            pass


def find_out_and_fix(page: Page | FrameLocator, receiver: str) -> None:
    """Walk from the page of the webhook that fails to the deliveries that arrived, by what the pages offer alone."""
    expect(page.get_by_role("status").first).to_contain_text("404 Not Found")
    page.get_by_role("table").get_by_role("link", name="order.created", exact=True).first.click()
    why = page.get_by_role("status").first
    expect(why).to_contain_text("404 Not Found")
    expect(why).to_contain_text("Correct the path")
    page.get_by_role("button", name="Endpoint doctor").click()
    page.get_by_role("heading", name="Endpoint doctor").wait_for()
    expect(page.locator(".findings li").filter(has_text="Status")).to_contain_text("Correct the path")
    page.get_by_role("link", name="Edit webhook").click()
    page.get_by_label("Endpoint").fill("ftp://nowhere")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Endpoint").fill(f"{receiver}{_PATH}")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The webhook is as you set it.").wait_for()
    page.get_by_role("button", name="Endpoint doctor").click()
    page.get_by_text("The endpoint accepted the signed test event").wait_for()
    page.get_by_role("link", name="Replay what failed").click()
    page.get_by_role("button", name="Preview").click()
    page.get_by_text(f"{_EVENTS} events match.").wait_for()
    page.get_by_role("button", name=f"Send {_EVENTS} deliveries again").click()
    page.get_by_text(f"Finished. {_EVENTS} of {_EVENTS} events delivered").wait_for()
    page.get_by_role("link", name="Deliveries", exact=True).click()
    expect(page.locator("tbody").get_by_text("Delivered", exact=True)).to_have_count(_EVENTS)


def unexpected(complaints: list[str]) -> list[str]:
    """Return what the browser complains about, but for the form that was refused and the host page's own icon."""
    return [text for text in complaints if "422" not in text and "favicon" not in text]


def test_the_operator_finds_out_why_and_fixes_it(node: str, receiver: str, browser_program: Chromium) -> None:
    """Begin at the overview, which names the webhook and the cause."""
    failing(node, receiver, "northwind")
    context, page, complaints = signed_in(browser_program, node, "light")
    attention = page.get_by_role("row").filter(has_text="northwind")
    expect(attention).to_contain_text("404 Not Found")
    attention.locator("td.endpoint a").first.click()
    find_out_and_fix(page, receiver)
    context.close()
    assert unexpected(complaints) == []


def test_a_customer_does_the_same_in_the_frame_of_the_platform(
    node: str, receiver: str, browser_program: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin at the list of webhooks within the host page of the guide; the frame is never left."""
    failing(node, receiver, "acme")
    scopes = {"scopes": ["webhooks:read", "webhooks:write", "events:read", "deliveries:retry"]}
    made = httpx.post(f"{node}/v1/organizations/acme/api-keys", json=scopes, headers=bearer(OPERATOR_KEY)).json()
    monkeypatch.setenv("PACKHOOK_KEY", made["key"])
    monkeypatch.setenv("PACKHOOK_SERVER", node.replace("127.0.0.1", "localhost"))
    names: dict[str, Any] = {"__name__": "host"}
    exec(compile(_HOST_PAGE, "host", "exec"), names)  # noqa: S102 the guide's own code
    page, complaints = watched(browser_program)
    with hosting(names["page"], "localhost") as url:
        page.goto(url)
        frame = page.frame_locator("iframe")
        frame.get_by_role("link", name="Failing", exact=True).click()
        frame.locator("td.endpoint a").first.click()
        find_out_and_fix(frame, receiver)
        assert page.url == url
    page.context.close()
    assert unexpected(complaints) == []
