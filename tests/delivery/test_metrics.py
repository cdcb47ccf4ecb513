"""Metrics: each one moves when what it measures happens, and no label grows with webhooks or organizations."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from node_fixture import (
    DELIVERED,
    EXHAUSTED,
    OTHER,
    LocalNode,
    local_node,
)
from prometheus_client.parser import text_string_to_metric_families

from packhook.core.clock import SystemClock
from packhook.core.overview import Figures
from packhook.delivery.circuit_breaker import FAILURES_TO_OPEN
from packhook.service import metrics as gathered
from packhook.service.metrics import FigureCache
from packhook.telemetry.metrics import METRICS, Kind
from packhook.testing import Hang, Receiver
from support.api_node import eventually

Series = dict[tuple[str, tuple[str, ...]], float]

UNREACHABLE: Final = "http://127.0.0.1:1/order-created"
ELSEWHERE: Final = {
    "packhook_info",  # constant
    "packhook_connections",  # tests/api/test_metrics.py
    "packhook_refused_events",  # tests/api/test_refused_events.py
    "packhook_log_lines_dropped_total",  # tests/e2e/test_log_readers.py
    "packhook_database_errors_total",  # tests/store/test_sqlite_writer.py, tests/postgres/test_pool.py
}


async def scrape(node: LocalNode) -> Series:
    """Return the value of each series by name and label values."""
    text = (await node.service.metrics.text()).decode()
    return {
        (sample.name, tuple(value for name, value in sorted(sample.labels.items()) if name != "le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }


async def until(node: LocalNode, condition: Callable[[Series], bool]) -> Series:
    """Wait until a scrape meets a condition; TimeoutError if it never does."""
    return await eventually(lambda: scrape(node), condition)


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each scrape read the database."""
    monkeypatch.setattr(gathered, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(gathered, "BUSY_PART", 0)


async def test_every_metric_moves(tmp_path: Path) -> None:
    """Deliver, fail, fill a lane, pause: each declared metric has another value than before."""
    async with Receiver() as receiver, local_node(tmp_path, retry_schedule="1ms", max_in_flight_per_webhook=2) as node:
        before = await scrape(node)
        await node.webhook(receiver.url)
        (good,) = await node.publish()
        await node.becomes(good, DELIVERED)
        await node.webhook(UNREACHABLE, OTHER)
        failing = await node.publish(FAILURES_TO_OPEN // 2, OTHER)
        opened = await until(node, lambda found: found["packhook_breakers_open", ()] == 1)
        receiver.answers(Hang(), Hang())
        await node.publish(4)
        full = await until(
            node,
            lambda found: (
                found["packhook_attempts_in_flight", ()] >= 2 and found["packhook_deliveries_queued", ()] >= 2
            ),
        )
        paused = await node.webhook(receiver.url, OTHER, paused=True)
        await node.publish(3, OTHER)
        waiting = await scrape(node)
        lagged = await until(node, lambda found: found["packhook_event_loop_lag_seconds_count", ()] > 0)
        assert (len(failing), paused.paused) == (FAILURES_TO_OPEN // 2, True)
    scrapes = (opened, full, waiting, lagged)
    moved = {
        name for found in scrapes for (name, labels), value in found.items() if before.get((name, labels)) != value
    }
    declared = {metric.name + ("_count" if metric.kind is Kind.HISTOGRAM else "") for metric in METRICS}
    assert declared - ELSEWHERE <= moved
    assert waiting["packhook_deliveries_due", ("paused", "first")] == 3
    assert waiting["packhook_deliveries_due_oldest_seconds", ("paused", "first")] >= 0
    assert waiting["packhook_webhooks", ("paused",)] == 1
    assert waiting["packhook_attempts_total", ("delivered",)] == 1
    assert waiting["packhook_attempts_total", ("connect_failed",)] >= FAILURES_TO_OPEN
    assert waiting["packhook_events_published_total", ()] == 1 + FAILURES_TO_OPEN // 2 + 4 + 3


async def test_finished_deliveries_are_counted_once_they_are_recorded(tmp_path: Path) -> None:
    """One delivered and one exhausted delivery are two finished ones and, with a retry, three attempts."""
    async with Receiver() as receiver, local_node(tmp_path, retry_schedule="1ms") as node:
        await node.webhook(receiver.url)
        await node.becomes((await node.publish())[0], DELIVERED)
        await node.webhook(UNREACHABLE, OTHER)
        (lost,) = await node.publish(1, OTHER)
        async with asyncio.timeout(15):
            while (await node.deliveries(lost, OTHER))[0].status is not EXHAUSTED:
                await node.store.until(lambda: bool(node.store.recorded))
        found = await scrape(node)
    assert found["packhook_deliveries_finished_total", ("delivered",)] == 1
    assert found["packhook_deliveries_finished_total", ("exhausted",)] == 1
    assert found["packhook_delivery_duration_seconds_count", ()] == 1
    assert found["packhook_receiver_duration_seconds_count", ()] == 3


async def test_no_series_is_added_by_webhooks_or_organizations(tmp_path: Path) -> None:
    """Have as many series with ten webhooks of two organizations as with none."""
    async with Receiver() as receiver, local_node(tmp_path) as node:
        before = await scrape(node)
        for number in range(10):
            await node.webhook(f"{receiver.url}/{number}", OTHER)
        for event_id in await node.publish(2, OTHER):
            async with asyncio.timeout(15):
                while {one.status for one in await node.deliveries(event_id, OTHER)} != {DELIVERED}:
                    await node.store.until(lambda: bool(node.store.recorded))
        after = await scrape(node)
    assert set(after) == set(before)


async def test_many_scrapers_cause_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share a read that runs, keep its result for a while, and longer the longer it took."""
    monkeypatch.setattr(gathered, "FRESH_SECONDS", 60.0)
    clock = SystemClock()
    begun, finish = asyncio.Event(), asyncio.Event()
    reads = 0

    async def ask() -> Figures:
        nonlocal reads
        reads += 1
        begun.set()
        await finish.wait()
        return Figures(at=clock.now(), due=(), webhooks={})

    cache = FigureCache(ask, clock)
    scrapers = [asyncio.create_task(cache.read()) for _ in range(5)]
    await begun.wait()
    finish.set()
    found = await asyncio.gather(*scrapers)
    assert (reads, len({id(figures) for figures in found})) == (1, 1)
    assert await cache.read() is found[0]
    assert reads == 1


async def test_a_database_that_is_away_leaves_out_only_what_it_knows(tmp_path: Path) -> None:
    """Write the node's own metrics without the figures."""
    async with local_node(tmp_path) as node:
        node.store.away.add("figures")
        found = await scrape(node)
    names = {name for name, _ in found}
    assert "packhook_attempts_in_flight" in names
    assert not names & {"packhook_deliveries_due", "packhook_deliveries_due_oldest_seconds", "packhook_webhooks"}
