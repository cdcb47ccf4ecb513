"""Test the live tail: rows come as they happen, filtered, inert and bounded; nothing stays behind."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from packhook.core.errors import Overloaded
from packhook.core.event_types import BUILT_IN
from packhook.core.model import Event
from packhook.core.operator_session import LASTS
from packhook.service.publish import PublishKey
from packhook.service.tail import MAX_VIEWERS, Tail, TailFilter
from packhook.testing import Receiver, Status
from support.api_node import OPERATOR_KEY, SENDING, bearer, eventually, running_node
from web.conftest import Browser
from web.html import Document
from web.sample import raw_event
from web.served import Served

ORGANIZATION: Final = "/dashboard/organizations/acme/live"


class Stream:
    """Read server-sent events of a response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()
        assert next(self._lines) == "retry: 1000"

    def rows(self) -> tuple[Document, int]:
        """Return the next rows as a document, and how many were lost before them."""
        for line in self._lines:
            if line.startswith("data: "):
                found = json.loads(line.removeprefix("data: "))
                return Document(f"<table>{found['html']}</table>"), found["dropped"]
        raise EOFError


@contextmanager
def _watching(browser: Browser, query: str = "", page: str = ORGANIZATION) -> Iterator[Stream]:
    """Open the stream that the page names."""
    (part,) = (element for element in browser.read(page + query).elements if "data-tail" in element.attributes)
    with browser.client.stream("GET", part.attributes["data-tail"]) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


def _publish(served: Served, code: str, order: str, organization: str = "acme") -> str:
    data = json.dumps({"id": order}, ensure_ascii=False).encode()
    (receipt,) = served.run(served.service.publisher.publish(organization, [raw_event(code, data)]))
    return receipt.id


def test_events_appear_as_they_are_published(browser: Browser, served: Served) -> None:
    """Show those that match the filter in the address, and lead to them; none of another organization."""
    with _watching(browser, "?event_code=order.shipped") as stream:
        _publish(served, "order.created", "ord_other")
        _publish(served, "order.shipped", "ord_elsewhere", "northwind")
        shown = _publish(served, "order.shipped", "ord_</td><script>\u202e\x1b")
        rows, dropped = stream.rows()
    (row,) = rows.all("tr")
    assert (dropped, "Published" in row.text) == (0, True)
    assert rows.all("a", href=f"/dashboard/organizations/acme/events/{shown}")
    assert rows.all("script") == []
    assert "ord_</td><script>\\u202e\\x1b" in row.text


def test_the_instance_has_a_tail_of_all_organizations(browser: Browser, served: Served) -> None:
    """Name the organization of each row."""
    with _watching(browser, page="/dashboard/live") as stream:
        _publish(served, "order.created", "ord_1")
        rows, _ = stream.rows()
    assert "by acme" in rows.all("tr")[0].text


def test_a_repeated_publish_is_shown_once(browser: Browser, served: Served) -> None:
    """Show an event when it is published, not when its idempotency key comes again."""
    with _watching(browser, "?kind=event") as stream:
        for _ in range(2):
            once = raw_event("order.created", b'{"id": "once"}')
            publishing = served.service.publisher.publish_once("acme", [once], PublishKey("key-once", b"once"))
            ((receipt,), _) = served.run(publishing)
        _publish(served, "order.created", "ord_last")
        seen: list[str] = []
        while not any("ord_last" in row for row in seen):
            seen += [row.text for row in stream.rows()[0].all("tr")]
    assert sum("once" in row for row in seen) == 1
    assert receipt.id


async def test_a_slow_viewer_loses_its_oldest_rows_and_knows_how_many() -> None:
    """Keep a bounded number of rows for it."""
    tail = Tail(lambda: BUILT_IN)
    watching = tail.watch(TailFilter())
    assert await anext(watching) == ((), 0)
    for number in range(250):
        tail.rows.published([_event(f"ord_{number}")])
    rows, dropped = await anext(watching)
    assert (len(rows), rows[0].subject, rows[-1].subject, dropped) == (200, "ord_50", "ord_249", 50)
    tail.stop()
    assert [batch async for batch in watching] == []
    assert not tail.rows.viewers


async def test_viewers_are_bounded_with_a_share_for_each_organization() -> None:
    """Refuse one more of the organization that has the most, and let another in."""
    tail = Tail(lambda: BUILT_IN)
    watching = [tail.watch(TailFilter(organization_id="busy")) for _ in range(MAX_VIEWERS)]
    outcomes = await asyncio.gather(*[anext(one) for one in watching], return_exceptions=True)
    assert 0 < sum(isinstance(outcome, Overloaded) for outcome in outcomes) < MAX_VIEWERS
    other = tail.watch(TailFilter(organization_id="other"))
    assert await anext(other) == ((), 0)
    for one in (*watching, other):
        await one.aclose()
    assert not tail.rows.viewers


def test_a_stream_ends_with_its_reader_and_with_its_session(browser: Browser, served: Served) -> None:
    """Leave no viewer behind, and send nothing after the session has ended."""
    viewers = served.service.tail.rows.viewers
    with _watching(browser) as stream:
        assert len(viewers) == 1
        served.clock.advance(LASTS)
        try:
            _publish(served, "order.created", "ord_late")
            with pytest.raises(EOFError):
                stream.rows()
        finally:
            served.clock.advance(-LASTS)
    with _watching(browser):
        pass

    async def left() -> int:
        return len(viewers)

    assert served.run(eventually(left, lambda count: count == 0)) == 0


def test_the_page_begins_with_the_newest_rows_and_needs_no_script(browser: Browser, stranger: Browser) -> None:
    """Load the page again by itself without JavaScript; show nothing to a stranger."""
    page = browser.read("/dashboard/organizations/northwind/live?failed=1")
    assert page.all("meta", **{"http-equiv": "refresh"})
    rows = page.all("tr")[1:]
    assert rows
    assert all("failed" in row.text for row in rows)
    for path in ("/dashboard/live/stream", f"{ORGANIZATION}/stream"):
        assert stranger.client.get(path).status_code == 303
    browser.read("/dashboard/organizations/none/live/stream", 404)


async def test_a_node_shows_its_attempts_and_stops_while_tails_are_open(tmp_path: Path) -> None:
    """Show an event and the attempt that delivered it; end the stream as a whole response when the node stops."""
    async with AsyncExitStack() as after, Receiver(Status(200)) as receiver:
        with running_node(tmp_path, **SENDING) as url:
            api = await after.enter_async_context(
                httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30)
            )
            await api.post("/v1/organizations", json={"id": "acme"})
            subscription = {"event_code": "order.created", "endpoint": receiver.url, "secret": "q9NhjkjV9o"}
            await api.post("/v1/organizations/acme/webhooks", json=subscription)
            form = Document((await api.get("/dashboard/sign-in")).text).form("/dashboard/sign-in")
            await api.post("/dashboard/sign-in", data={**form, "key": OPERATOR_KEY})
            opened = api.stream("GET", f"{ORGANIZATION}/stream", timeout=30)
            response = await after.enter_async_context(opened)
            lines = response.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            order = {"event_code": "order.created", "data": {"id": "ord_1"}}
            await api.post("/v1/organizations/acme/events", json=order)
            shown = ""
            while not ("Published" in shown and "Attempt 1 delivered" in shown):
                shown += await anext(lines)
        assert [line async for line in lines if line.startswith("event:")] == []


def _event(subject: str) -> Event:
    return Event(
        id="evt_1", organization_id="acme", event_code="order.created", data=b"{}", created_at=1, subject=subject
    )
