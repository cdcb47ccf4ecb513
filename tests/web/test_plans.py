"""Test that pages stay fast however much is stored: no statement of any page reads a whole table of what happened."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from packhook.core.clock import HOUR
from web.conftest import Browser
from web.pages import PAGES, address
from web.served import Served, serving

SCAN: Final = re.compile(r"SCAN (events|deliveries|attempts|[a-z])\b.*")
ALLOWED: Final = re.compile(r"SCAN ([dhkorsw]\b.*|deliveries USING COVERING INDEX deliveries_live)")
"""Parts of few rows: those of a slice, of webhooks, or of a page. ``count_due`` reads what is due, for no page."""
MORE: Final = (
    "/search?q={shop.event}",
    "/search?q={shop.failed_delivery}",
    "/search?q=evt_00000000000000000000000000000000",
    "/organizations/northwind/deliveries?status=exhausted&webhook_id={shop.well.id}",
    "/organizations/northwind/deliveries?event_code=order.created&reference={shop.reference}",
    "/organizations/northwind/events?reference={shop.reference}",
    "/audit?actor=key_unknown",
)
Statements = dict[str, Any]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path, Statements]]:
    """Serve a shop whose connections note their statements, each with the values of its last run."""
    statements: Statements = {}

    def note(_: object, statement: str, values: Any) -> bool:  # noqa: ANN401 apsw's bindings
        statements[statement] = values
        return True

    def watch(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    folder = tmp_path_factory.mktemp("traced")
    apsw.connection_hooks.append(watch)
    try:
        with serving(folder, history=3 * HOUR) as served:
            statements.clear()
            yield served, folder, statements
    finally:
        apsw.connection_hooks.remove(watch)


def test_no_page_reads_a_whole_table(traced: tuple[Served, Path, Statements]) -> None:
    """Find rows by an index, on every page and by every filter that the tests know."""
    served, folder, statements = traced
    browser = Browser(served)
    with browser.client:
        browser.sign_in()
        for page in (*PAGES, *MORE):
            assert browser.client.get(address(page, served.shop)).status_code in (200, 303), page
    asked = {text: values for text, values in statements.items() if text.lstrip().startswith(("SELECT", "WITH"))}
    assert len(asked) > 40
    db = apsw.Connection(str(folder / "packhook.db"))
    scans = {
        (str(step[3]), text)
        for text, values in asked.items()
        for step in db.execute(f"EXPLAIN QUERY PLAN {text}", values)
        if SCAN.fullmatch(str(step[3])) and not ALLOWED.fullmatch(str(step[3]))
    }
    db.close()
    assert scans == set()
