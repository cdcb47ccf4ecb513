"""Test what all pages have in common: they work without JavaScript, hold no secret, and stay small."""

import re
from typing import Final

import pytest

from packhook.web.routes import ROUTES, PageRoute
from support.api_node import OPERATOR_KEY
from web.conftest import Browser
from web.pages import PAGES, address
from web.sample import EMPTY, HEADER_VALUE, ORGANIZATION, SECRET
from web.served import Served

MAX_BYTES: Final = 100_000
_INLINE: Final = re.compile(r"<style|\sstyle=|<script(?![^>]* src=)|\son\w+=|javascript:", re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_complete_small_and_safe(browser: Browser, served: Served, page: str) -> None:
    """Respond 200 with well-formed HTML, a strict policy, nothing inline, no secret, in less than 100 KB."""
    response = browser.client.get(address(page, served.shop))
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    document = browser.read(address(page, served.shop))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["cache-control"] == "no-store"
    assert len(response.content) < MAX_BYTES
    assert _INLINE.findall(re.sub(r"<pre.*?</pre>", "", response.text, flags=re.DOTALL)) == []
    assert [secret for secret in (SECRET, HEADER_VALUE, OPERATOR_KEY) if secret in response.text] == []
    assert len(document.all("h1")) == 1
    assert len(document.all("title")[0].text) > len(" · packhook")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(browser: Browser, served: Served, page: str) -> None:
    """Follow each link within the dashboard, once for all pages."""
    document = browser.read(address(page, served.shop))
    links = {link.attributes["href"].partition("#")[0] for link in document.all("a") if "href" in link.attributes}
    for link in sorted(link for link in links if link.startswith("/") and link not in _FOLLOWED):
        _FOLLOWED.add(link)
        assert browser.client.get(link).status_code == 200, link


_FOLLOWED: Final = set[str]()


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_led_to_sign_in(stranger: Browser, served: Served, page: str) -> None:
    """Show nothing without a session, and come back to the page afterwards."""
    response = stranger.client.get(address(page, served.shop))
    assert response.status_code == 303
    document = stranger.read(response.headers["location"])
    signed_in = stranger.send(document, "/dashboard/sign-in", key=OPERATOR_KEY)
    assert signed_in.headers["location"] == address(page, served.shop)


@pytest.mark.parametrize("page", [page for page in ROUTES if page.post is not None], ids=lambda page: page.name)
def test_no_form_is_taken_without_the_token_of_its_session(browser: Browser, served: Served, page: PageRoute) -> None:
    """Refuse it before anything is looked up, whatever the form; as a file form, too."""
    shop = served.shop
    of = {"organizationId": ORGANIZATION, "webhookId": shop.well.id, "deliveryId": shop.failed_delivery}
    more = {"eventId": shop.event, "replayId": shop.replay, "keyId": "key_1", "code": "parcel.lost"}
    path = f"/dashboard{page.path.format(**of, **more)}"
    assert browser.client.post(path, data={"to": "pause", "do": "import"}).status_code == 403
    assert browser.client.post(path, data={"token": "x"}, files={"file": b"x"}).status_code == 403


def test_the_list_of_organizations_leads_to_each(browser: Browser) -> None:
    """By its name."""
    page = browser.read("/dashboard/organizations")
    for name in (ORGANIZATION, EMPTY):
        assert page.all("a", href=f"/dashboard/organizations/{name}")


def test_an_unknown_page_says_so(browser: Browser, stranger: Browser) -> None:
    """Respond 404 with a page; a stranger does not learn which pages there are."""
    assert "There is nothing here" in browser.read("/dashboard/nonsense", 404).text()
    assert stranger.client.get("/dashboard/nonsense").status_code == 303


def test_static_files_are_kept_by_browsers_and_nothing_else_is_served(browser: Browser, served: Served) -> None:
    """Name their content in their address, so that they may be kept for ever."""
    document = browser.read("/dashboard")
    sources = [link.attributes["href"] for link in document.all("link")]
    sources += [script.attributes["src"] for script in document.all("script")]
    assert len(sources) == 3
    for source in sources:
        response = browser.client.get(source)
        assert (response.status_code, "immutable" in response.headers["cache-control"]) == (200, True)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert len(response.content) < 40_000
    wrong = ("../app.py", "app.css", "..%2fapp.py", "")
    assert [browser.client.get(f"{served.url}/dashboard/static/{path}").status_code for path in wrong] == [404] * 4
