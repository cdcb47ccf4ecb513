"""Test the pages of events and the timeline of an order."""

import json
from typing import Final

from packhook.core.signatures.standard import message
from web.conftest import Browser
from web.sample import BY, raw_event
from web.served import Served

ORGANIZATION: Final = "/dashboard/organizations/northwind"
LINES: Final = [f"line {number} <script>\u202e\x1b[2J" for number in range(60)]


def test_events_are_found_by_code_subject_and_reference(browser: Browser, served: Served) -> None:
    """Filter by each, and lead from an event to everything about its order."""
    shop = served.shop
    for query in (f"subject={shop.order}", f"reference={shop.reference.replace('#', '%23')}"):
        page = browser.read(f"{ORGANIZATION}/events?{query}")
        rows = page.all("tr")[1:]
        assert rows
        assert all(shop.order in row.text for row in rows)
    assert page.all("a", href=f"{ORGANIZATION}/timeline?subject={shop.order}")
    listed = browser.read(f"{ORGANIZATION}/events?event_code=webhook.failing", 200)
    assert all(row.text.split()[0].startswith("webhook.failing") for row in listed.all("tr")[1:])
    browser.read(f"{ORGANIZATION}/events?event_code=order.lost", 422)


def test_an_event_shows_its_payload_and_what_became_of_it(browser: Browser, served: Served) -> None:
    """Say first how many deliveries wait; show the payload pretty, byte for byte, and as a file."""
    address = f"{ORGANIZATION}/events/{served.shop.event}"
    event, deliveries = served.run(served.service.history.event("northwind", served.shop.event))
    page = browser.read(address)
    assert len(page.all("tr")) == len(deliveries) + 1
    assert page.all("p", class_="note")
    pretty = "\n".join(pre.text for pre in page.all("pre"))
    sent = message(event.id, event.event_code, event.created_at, event.organization_id, event.data)
    assert json.loads(pretty) == json.loads(sent)
    raw = browser.read(f"{address}?view=raw")
    assert [pre.text for pre in raw.all("pre")] == [sent.decode()]
    assert browser.client.get(f"{address}/data").content == event.data


def test_a_long_and_hostile_payload_is_folded_and_inert(browser: Browser, served: Served) -> None:
    """Show 40 lines, fold the others away, and escape what is not printable."""
    data = json.dumps({"id": "</pre><b>x", "lines": LINES}, ensure_ascii=False).encode()
    (receipt,) = served.run(served.service.publisher.publish("acme", [raw_event("order.created", data)]))
    page = browser.read(f"/dashboard/organizations/acme/events/{receipt.id}")
    assert "It went to no webhook." in page.text()
    (shown, rest) = page.all("pre")
    assert len(shown.text.split("\n")) == 40
    assert "line 59 <script>\\u202e" in rest.text
    assert "more lines" in page.all("details", class_="fold")[0].text
    assert len(page.all("script")) == 1
    assert not {"\u202e", "\x1b"} & set(page.html)
    assert "</pre><b>x" in page.all("h1")[0].text


def test_an_erased_event_says_so(browser: Browser, served: Served) -> None:
    """Show neither null nor a file of it as if it had been published."""
    (receipt,) = served.run(served.service.publisher.publish("acme", [raw_event("order.created", b'{"id": "gone"}')]))
    served.run(served.service.erasure.erase_event("acme", receipt.id, BY))
    text = browser.read(f"/dashboard/organizations/acme/events/{receipt.id}").text()
    assert "The data were erased" in text
    assert '"data"' not in text


def test_a_timeline_tells_an_order_by_id_or_reference(browser: Browser, served: Served) -> None:
    """Show the same steps in order of time: published, each attempt with its cause, what waits."""
    shop = served.shop
    page = browser.read(f"{ORGANIZATION}/timeline?subject={shop.order}")
    steps = [" ".join(step.text.split()) for step in page.all("ol", class_="steps")[0].inner if step.name == "li"]
    assert "was published" in steps[0]
    assert any("attempt 1 · 200 OK" in step for step in steps)
    same = browser.read(f"{ORGANIZATION}/timeline?reference={shop.reference.replace('#', '%23')}")
    assert len([element for element in same.all("ol")[0].inner if element.name == "li"]) == len(steps)
    both = browser.read(f"{ORGANIZATION}/timeline?subject=a&reference=b", 422)
    assert "not both" in both.text()
    assert "Nothing is known of never" in browser.read(f"{ORGANIZATION}/timeline?subject=never").text()
