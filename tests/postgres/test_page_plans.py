"""Test that pages stay fast on PostgreSQL however much is stored: statements of pages find their rows by an index."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from packhook.core.clock import HOUR
from packhook.store.postgres.queries import Db
from postgres.server import Server, direct
from web.conftest import Browser
from web.pages import PAGES, address
from web.served import Served, serving
from web.test_plans import MORE

LARGE: Final = ("events", "deliveries", "attempts")
ALLOWED: Final = {("deliveries", "Index Scan", "deliveries_leased")}
"""Indexes of few rows, which may be read as a whole: what is being sent."""

Statements = dict[str, tuple[Any, ...]]


@pytest.fixture
def traced(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, str, Statements]]:
    """Serve a shop whose reads note their statements, each with the values of its last run."""
    statements: Statements = {}
    fetch_all, fetch_one = Db.fetch_all, Db.fetch_one

    async def all_rows(db: Db, statement: str, *values: object) -> Any:  # noqa: ANN401 as what it stands for
        statements[statement] = values
        return await fetch_all(db, statement, *values)

    async def one_row(db: Db, statement: str, *values: object) -> Any:  # noqa: ANN401 as above
        statements[statement] = values
        return await fetch_one(db, statement, *values)

    with server.database() as url, serving(tmp_path, database=url, history=3 * HOUR) as served:
        monkeypatch.setattr(Db, "fetch_all", all_rows)
        monkeypatch.setattr(Db, "fetch_one", one_row)
        yield served, url, statements


async def test_no_page_reads_a_whole_table(traced: tuple[Served, str, Statements]) -> None:
    """Find rows by a condition on an index, on every page and by every filter that the tests know."""
    served, url, statements = traced
    browser = Browser(served)
    with browser.client:
        browser.sign_in()
        for page in (page for page in (*PAGES, *MORE) if "/discard" not in page):
            assert browser.client.get(address(page, served.shop)).status_code in (200, 303), page
    asked = {text: values for text, values in statements.items() if _is_read(text)}
    assert len(asked) > 40
    walks = set[tuple[str, str, str, str]]()
    async with direct(url) as connection:
        await connection.execute("SET enable_seqscan = off")
        for text, values in asked.items():
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *values))[0]["Plan"]
            walks |= {(*walk, text) for walk in _walks(plan) if walk not in ALLOWED}
    assert walks == set()


def _is_read(text: str) -> bool:
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return next(lines).lstrip().startswith(("SELECT", "WITH"))


def _walks(plan: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the large tables of a plan that are read without a condition on an index, each with how and by which."""
    is_walk = plan["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan") and "Index Cond" not in plan
    if is_walk and plan.get("Relation Name") in LARGE:
        yield plan["Relation Name"], plan["Node Type"], plan.get("Index Name", "")
    for part in plan.get("Plans", ()):
        yield from _walks(part)
