"""Test the overview: a sentence says whether everything is well; what needs attention is listed with its cause."""

import httpx

from packhook.core.health import HealthState
from support.api_node import OPERATOR_KEY, bearer
from web.conftest import Browser
from web.served import Served


def test_the_overview_names_what_needs_attention(browser: Browser, served: Served) -> None:
    """Count it in the first line, list those that fail first with their cause, and leave out what was disabled."""
    page = browser.read("/dashboard")
    verdict = next(found.text for found in page.all("p", class_="note"))
    assert "2 webhooks fail, 1 is held." in verdict
    rows = [" ".join(row.text.split()) for row in page.all("tr") if row.attributes.get("class")]
    assert rows[0].startswith("shop.northwind.example/hooks/orders")
    assert "the endpoint is overloaded or being maintained" in rows[0]
    assert len(rows) == 3
    assert not any(served.shop.disabled.endpoint.removeprefix("https://") in row for row in rows)


def test_the_overview_shows_the_nodes_as_the_status_does(browser: Browser, served: Served) -> None:
    """Show what ``GET /v1/status`` says: each node singly, a silent one too, and the instance by its database."""
    found = httpx.get(f"{served.url}/v1/status", headers=bearer(OPERATOR_KEY), timeout=30).json()
    of_nodes, _, text = browser.read("/dashboard").text().partition(" Nodes Node ")[2].partition(" The instance ")
    assert text.startswith(
        f"Nodes {len(found['nodes'])} node on this database Database Answers {found['database']} Webhooks "
    )
    assert f"{found['webhooks']['failing']} failing" in text
    assert f"{found['due']['by_urgency']['first']:,} first attempts" in text
    node = found["node"]
    assert f"{node['name']} {found['version']} · sent this page Running started" in of_nodes
    assert f"{node['in_flight']} {node['queued']} {node['lanes_held']} {node['breakers_open']} 0.0" in of_nodes
    assert "Last 1 min 0.0 events" in text
    served.service.is_draining = True
    try:
        assert "Draining started" in browser.read("/dashboard").text()
    finally:
        served.service.is_draining = False


async def test_attention_is_for_states_that_somebody_should_look_at(served: Served) -> None:
    """Return those that fail before the others, and no more than asked for."""
    found = await served.ask(served.service.health.needing_attention(10))
    states = [item.diagnosis.state for item in found]
    assert states == [HealthState.FAILING, HealthState.FAILING, HealthState.HELD]
    assert len(await served.ask(served.service.health.needing_attention(1))) == 1


async def test_the_sum_of_a_day_is_that_of_its_chart(served: Served) -> None:
    """Count each attempt once."""
    now, statistics = served.clock.now(), served.service.statistics
    total = await served.ask(statistics.sum_of_instance(now - 86_400_000, now))
    chart = await served.ask(statistics.of_instance(now - 86_400_000, now, 3_600_000))
    assert total.attempts == sum(point.attempts for point in chart.points) > 0
    assert total.p50 is not None
