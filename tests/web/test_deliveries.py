"""Test the pages of deliveries: filters live in the address, a failure says its cause and fix, retry is a button."""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from packhook.core.endpoint_findings import fix_of
from packhook.core.model import FailureKind
from web.conftest import Browser
from web.html import Document
from web.sample import HOSTILE
from web.served import Served

LIST: Final = "/dashboard/organizations/northwind/deliveries"
UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _rows(page: Document) -> list[str]:
    return [" ".join(row.text.split()) for row in page.all("tr")[1:]]


def _chips(page: Document) -> set[str]:
    return {chip.text for chip in page.all("span", class_="chip")}


def test_filters_live_in_the_address(browser: Browser, served: Served) -> None:
    """Show what matches, keep the filters over pages and in the form, and let them be cleared."""
    page = browser.read(f"{LIST}?webhook_id={served.shop.well.id}&status=delivered")
    rows = _rows(page)
    assert len(rows) == 25
    assert all("hooks.adventure-works.example/in" in row and "200 OK in" in row for row in rows)
    assert _chips(page) == {"Delivered"}
    assert next(option.text for option in page.all("option", selected="")) == "delivered"
    (following,) = page.all("a", rel="next")
    query = parse_qs(urlsplit(following.attributes["href"]).query)
    assert (query["status"], query["webhook_id"]) == (["delivered"], [served.shop.well.id])
    assert _rows(browser.read(following.attributes["href"])) != rows
    assert page.all("a", href=LIST)


def test_an_order_and_a_time_narrow_the_list(browser: Browser, served: Served) -> None:
    """Take a browser's field for a time as UTC."""
    order = served.shop.order
    assert len(_rows(browser.read(f"{LIST}?subject={order}&since=2026-11-30T00:00"))) >= 1
    assert "No delivery matches" in browser.read(f"{LIST}?subject={order}&until=2026-11-29T00:00").text()


def test_a_filter_that_is_not_valid_is_marked(browser: Browser) -> None:
    """List nothing, rather than everything, and say what is expected."""
    page = browser.read(f"{LIST}?since=nonsense&status=lost", 422)
    assert "Expected a time such as" in page.text()
    assert "Expected one of pending" in page.text()
    assert page.all("table") == []


def test_a_failure_says_its_cause_and_its_fix_where_it_is_listed(browser: Browser, served: Served) -> None:
    """Name the status in words, what to do, and when it goes on."""
    (row, *_) = _rows(browser.read(f"{LIST}?webhook_id={served.shop.disabled.id}"))
    assert "The certificate expired on 2026-11-24 (6 days ago): renew it." in row
    assert "Install a certificate for the endpoint's host name" in row
    assert "Next attempt" in row
    page = browser.read(f"{LIST}?webhook_id={served.shop.disabled.id}")
    doctor = f"/dashboard/organizations/northwind/webhooks/{served.shop.disabled.id}/diagnose"
    assert len(page.all("a", href=doctor)) == len(_rows(page))
    assert browser.read(doctor).all("form", action=doctor)


def test_a_delivery_tells_its_story(browser: Browser, served: Served) -> None:
    """Say why it failed, with each attempt, its request and response, and what comes next and until when."""
    page = browser.read(f"{LIST}/{served.shop.failed_delivery}")
    (first,) = page.all("p", class_="note")
    assert "Answered 503 Service Unavailable" in first.text
    assert "Wait until the endpoint is back" in first.text
    steps = [" ".join(step.text.split()) for step in page.all("ol", class_="steps")[0].inner if step.name == "li"]
    assert "Published" in steps[0]
    assert "Attempt 1 · 503 Service Unavailable" in steps[1]
    assert "is due" in steps[-2]
    assert "Last attempt" in steps[-1]
    text = page.text()
    assert "webhook-signature: v1," in text
    assert '"type": "order.created"' in text
    assert "x-api-key: ***" in text
    assert "<h1>Maintenance</h1>" in text
    webhook = f"/dashboard/organizations/northwind/webhooks/{served.shop.failing.id}"
    assert page.all("form", action=f"{webhook}/diagnose")
    assert page.all("a", href=webhook)


def test_the_exact_body_is_shown_on_request(browser: Browser, served: Served) -> None:
    """Show the bytes that were signed, or the same with line breaks; the choice is in the address."""
    address = f"{LIST}/{served.shop.failed_delivery}"
    page = browser.read(address)
    (raw,) = (link.attributes["href"] for link in page.all("a") if "view=raw" in link.attributes.get("href", ""))
    text = browser.read(raw.partition("#")[0]).text()
    assert '","type":"order.created","timestamp":"' in text
    assert '"type": "order.created"' not in text


def test_an_attempt_is_chosen_by_the_address(browser: Browser, served: Served) -> None:
    """Show that attempt; there is no page of one that was not made."""
    address = f"{LIST}/{served.shop.hostile_delivery}"
    assert "webhook-attempt: 1" in browser.read(f"{address}?attempt=1").text()
    browser.read(f"{address}?attempt=99", 404)
    browser.read(f"{address}?attempt=x", 404)


def test_what_a_hostile_receiver_sent_is_inert(browser: Browser, served: Served) -> None:
    """Show markup, control characters and long lines as text; hand the exact bytes out as a file alone."""
    page = browser.read(f"{LIST}/{served.shop.hostile_delivery}")
    assert [script.text for script in page.all("script")] == [""]
    assert page.all("img") == []
    assert UNPRINTABLE.findall(page.html) == []
    assert "</textarea><script>document.title='owned'</script>" in page.text()
    assert "\\x1b[31m" in page.text()
    assert "{{ 7 * 7 }}" in page.text()
    (save,) = (link for link in page.all("a") if "download" in link.attributes)
    saved = browser.client.get(save.attributes["href"])
    assert saved.content == HOSTILE
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.headers["x-content-type-options"] == "nosniff"


def test_a_delivery_is_sent_now(browser: Browser, served: Served) -> None:
    """Make it due, say so, and keep who did it; a form without its token changes nothing."""
    listed = browser.read(f"{LIST}?webhook_id={served.shop.failing.id}&status=pending")
    address = next(link.attributes["href"] for link in listed.all("a") if f"{LIST}/" in link.attributes.get("href", ""))
    page = browser.read(address)
    assert browser.client.post(f"{address}/retry", data={"token": "x"}).status_code == 403
    after = browser.follow(browser.send(page, f"{address}/retry"))
    assert "The delivery is sent now." in after.text()
    assert "The next attempt is due." in after.text()


def test_deliveries_of_others_are_not_found(browser: Browser, served: Served) -> None:
    """Look within the organization of the address."""
    for path in ("", "/response"):
        browser.read(f"/dashboard/organizations/acme/deliveries/{served.shop.failed_delivery}{path}", 404)
    browser.read("/dashboard/organizations/none/deliveries", 404)


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_has_a_fix(kind: FailureKind) -> None:
    """Say what to do about each kind of failure, with and without a response."""
    assert fix_of(kind, None).endswith(".")
    assert fix_of(kind, 418).endswith(".")
    assert "certificate" in fix_of(FailureKind.TLS, None, "the certificate expired")
    assert fix_of("", 200) == ""
