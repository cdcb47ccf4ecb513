"""Test the pages of refused events: why, retry, discard."""

from packhook.core.audit import Action
from packhook.store.base import AuditFilter, PageRequest
from packhook.store.refused_events import RefusedEventFilter
from store.refusing import give_up
from web.conftest import Browser
from web.served import Served

LIST = "/dashboard/organizations/northwind/refused-events"


def test_a_refused_event_is_listed_retried_and_discarded(browser: Browser, served: Served) -> None:
    """The overview leads there; the reason is in the row; a decision is in the audit trail and empties the list."""
    give_up(served.folder, "northwind", served.shop.event)
    assert "/dashboard/refused-events" in browser.read("/dashboard").html
    page = browser.read("/dashboard/refused-events")
    event = served.shop.event
    assert "It was refused." in page.text()
    discard = browser.read(f"{LIST}/{event}/discard")
    assert event in discard.text()
    foreign = f"/dashboard/organizations/acme/refused-events/{event}"
    fields = {"token": str(discard.form(f"{LIST}/{event}/discard")["token"])}
    for action in ("retry", "discard"):
        assert browser.client.post(f"{foreign}/{action}", data=fields).status_code == 404
    assert browser.client.get(f"{foreign}/discard").status_code == 404
    after = browser.follow(browser.send(page, f"{LIST}/{event}/retry"))
    assert "are made now" in after.text()
    (entry,) = served.run(served.store.list_audit(PageRequest(limit=1), AuditFilter())).items
    assert (entry.action, entry.object_id) == (Action.EVENT_RETRIED, event)
    left = served.run(served.store.refused_events.list(PageRequest(limit=1), RefusedEventFilter()))
    assert left.items == ()
    assert browser.client.post(f"{LIST}/{event}/discard", data=fields).status_code == 404


def test_all_refused_events_are_retried(browser: Browser, served: Served) -> None:
    """One button for the list as it is filtered; each event has its entry in the audit trail."""
    path = "/dashboard/refused-events"
    give_up(served.folder, "northwind", served.shop.event)
    of_another = browser.read(f"{path}?organization_id=acme")
    assert "Retry all" not in of_another.text()
    page = browser.read(f"{path}?organization_id=northwind")
    after = browser.follow(browser.send(page, f"{path}/retry"))
    assert "of these events are made now" in after.text()
    (entry,) = served.run(served.store.list_audit(PageRequest(limit=1), AuditFilter())).items
    assert (entry.action, entry.object_id) == (Action.EVENT_RETRIED, served.shop.event)
    assert browser.client.post(f"{path}/retry", data={"token": "forged"}).status_code == 403
