"""Test the search box: from what people have to the page that they want."""

from typing import Final

import pytest

from packhook.service.search import MAX_SECONDS, Search
from packhook.store import search as store_search
from packhook.store.sqlite import dashboard
from web.conftest import Browser
from web.served import Served

ORGANIZATION: Final = "/dashboard/organizations/northwind"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("{shop.event}", f"{ORGANIZATION}/events/{{shop.event}}"),
        ("{shop.failed_delivery}", f"{ORGANIZATION}/deliveries/{{shop.failed_delivery}}"),
        ("{shop.order}", f"{ORGANIZATION}/timeline?subject={{shop.order}}"),
        (" {shop.reference} ", f"{ORGANIZATION}/timeline?reference={{shop.reference}}"),
        ("FABRIKAM", None),
        ("acme", None),
    ],
)
def test_one_box_leads_to_what_a_text_names(browser: Browser, served: Served, text: str, address: str | None) -> None:
    """Go straight to the only thing that a text names, from the whole instance and within the organization."""
    found = browser.client.get("/dashboard/search", params={"q": text.format(shop=served.shop)})
    assert found.status_code == 303
    if address is not None:
        assert found.headers["location"] == address.format(shop=served.shop).replace("#", "%23")
        within = browser.client.get(f"{ORGANIZATION}/search", params={"q": text.format(shop=served.shop)})
        assert within.headers["location"] == found.headers["location"]
    assert browser.client.get(found.headers["location"]).status_code == 200


def test_several_results_are_listed(browser: Browser) -> None:
    """Name what each is."""
    page = browser.read("/dashboard/search?q=northwind")
    kinds = [row.inner[-2].text for row in page.all("tr")[1:]]
    assert len(kinds) >= 2
    assert "Webhook" in page.text()


@pytest.mark.parametrize(
    "text", ["", "x" * 300, "<script>7", "evt_" + "0" * 32, "wh_'\"", "\N{RIGHT-TO-LEFT OVERRIDE}"]
)
def test_nothing_is_found_without_harm(browser: Browser, text: str) -> None:
    """Say how to search."""
    page = browser.client.get("/dashboard/search", params={"q": text})
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.text


def test_an_organization_is_found_by_a_part_of_its_name(browser: Browser) -> None:
    """Lead to its page."""
    found = browser.client.get("/dashboard/search", params={"q": "outfit"})
    assert (found.status_code, found.headers["location"]) == (303, "/dashboard/organizations/acme")


def test_a_search_ends_when_its_time_is_over(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return what was found until then, and say that there may be more."""
    for module in (store_search, dashboard):
        monkeypatch.setattr(module, "ORDER_SLICE", 1)
    times = iter((0.0, 0.0, MAX_SECONDS))
    found = served.run(Search(served.store, lambda: next(times)).find("nothing-has-this-name"))
    assert (found.found, found.is_partial) == ((), True)


def test_another_organization_is_not_searched(browser: Browser, served: Served) -> None:
    """Search within one organization alone, once it is open."""
    page = browser.read(f"/dashboard/organizations/acme/search?q={served.shop.event}")
    assert "Nothing has this name" in page.text()
