"""Test the pages of API keys and of the audit trail."""

import re
from typing import Final

import httpx

from support.api_node import bearer
from web.conftest import Browser
from web.served import Served

ORGANIZATION: Final = "/dashboard/organizations/acme"
KEYS: Final = f"{ORGANIZATION}/api-keys"


def test_a_key_is_shown_once_and_revoked(browser: Browser, served: Served) -> None:
    """Show it in the response to the form and nowhere else; ask before it is revoked, then refuse it at once."""
    page = browser.read(KEYS)
    made = browser.send(page, KEYS, name="<i>shop</i>", scopes=["events:read", "webhooks:read"])
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    (key,) = set(re.findall(r"phk_[\w-]{20,}", made.text))
    events = f"{served.url}/v1/organizations/acme/events"
    assert httpx.get(events, headers=bearer(key)).status_code == 200
    listed = browser.read(KEYS)
    assert key not in listed.html
    assert "webhooks:read, events:read" in listed.text()
    assert "<i>shop</i>" in listed.text()
    revoke = next(
        link.attributes["href"] for link in listed.all("a") if "shop" in link.attributes.get("aria-label", "")
    )
    asked = browser.read(revoke)
    assert key[:12] in asked.text()
    assert "The key is revoked" in browser.follow(browser.send(asked, revoke)).text()
    assert httpx.get(events, headers=bearer(key)).status_code == 401
    browser.read(revoke, 404)


def test_a_key_that_cannot_be_says_why_at_its_field(browser: Browser) -> None:
    """Keep what was entered."""
    page = browser.read(KEYS)
    without = browser.send(page, KEYS, name="kept")
    assert without.status_code == 422
    assert 'value="kept"' in without.text
    assert 'class="wrong"' in without.text
    late = browser.send(page, KEYS, scopes=["events:read"], expires_at="2020-01-01T00:00")
    assert (late.status_code, "Expected a time in the future" in late.text) == (422, True)


def test_the_audit_trail_says_who_changed_what(browser: Browser, served: Served) -> None:
    """List it for one organization, and for the whole instance; filter by action and object."""
    webhook = served.shop.disabled.id
    page = browser.read(f"/dashboard/organizations/northwind/audit?action=webhook.updated&object_id={webhook}")
    (row,) = page.all("tr")[1:]
    assert "Webhook updated" in row.text
    assert "enabled: true → false" in row.text
    assert "192.0.2.7" in row.text
    everything = browser.read("/dashboard/audit?action=organization.created").text()
    assert "Organization created" in everything
    assert "acme" in everything
    assert "No entry matches" in browser.read("/dashboard/audit?organization_id=none").text()
    assert browser.client.get("/dashboard/audit?actor=a%20b").status_code == 422
