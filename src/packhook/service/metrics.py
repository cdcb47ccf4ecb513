"""Metrics: gather what the parts of this node have counted, and the few figures that only the database knows.

::

    store, scheduler, publisher, HTTP server ─ samples, when asked ─┐
    database ─ figures, kept for a while ───────────────────────────┴─▶ text for Prometheus, status for the operator

Counting costs an event a few additions; everything else is done when somebody scrapes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

import structlog

from packhook import __version__
from packhook.core.clock import SECOND, Clock
from packhook.core.errors import Unavailable
from packhook.core.model import Urgency
from packhook.core.overview import Figures, WebhookCondition
from packhook.service.publish import Publisher
from packhook.store.base import Store
from packhook.telemetry import metrics
from packhook.telemetry.counts import Histogram
from packhook.telemetry.logs import dropped_lines
from packhook.telemetry.metrics import Metric, Sample, exposition, samples_of_store

_log: Final = structlog.get_logger("packhook.metrics")

FRESH_SECONDS = 5.0
BUSY_PART: Final = 20
"""The database reads figures for at most this part of the time."""
WAIT_SECONDS: Final = 5.0
"""A scrape waits no longer for figures: it has the earlier ones, or none."""
MAX_AGE: Final = 600 * SECOND

Source = Callable[[], Iterable[Sample]]


class Metrics:
    """Write the metrics of this node. Each part of it is a source of samples.

    ``process`` is the node's number among several processes on one port, None if it has the port alone.
    """

    def __init__(self, store: Store, publisher: Publisher, clock: Clock) -> None:
        self.process: int | None = None
        self._figures = FigureCache(lambda: store.overview.figures(clock.now()), clock)
        self._sources: list[Source] = [
            lambda: samples_of_store(store.counts),
            lambda: (Sample(metrics.PUBLISH_SECONDS, publisher.seconds),),
            lambda: (Sample(metrics.LOG_LINES_DROPPED, dropped_lines()), Sample(metrics.INFO, 1, (__version__,))),
        ]

    def add_source(self, source: Source) -> None:
        """Include what this function returns, each time."""
        self._sources.append(source)

    async def text(self) -> bytes:
        """Return all metrics in the text format. Without a database, those that it knows are absent."""
        found = await self._figures.read()
        samples = [sample for source in self._sources for sample in source()]
        if found is not None:
            samples += samples_of_figures(found)
        return exposition(samples, self.process)

    def gauges(self) -> dict[Metric, float]:
        """Return the node's own values without labels, by metric."""
        samples = (sample for source in self._sources for sample in source())
        return {
            sample.metric: sample.value
            for sample in samples
            if not sample.labels and not isinstance(sample.value, Histogram)
        }

    async def figures(self, wait_seconds: float = WAIT_SECONDS) -> Figures | None:
        """Return the figures that the database knows, at most a while old; None while it is away or too slow.

        Where they are being read, it waits so long at most for newer ones.
        """
        return await self._figures.read(wait_seconds)

    async def close(self) -> None:
        """Give up reading."""
        await self._figures.close()


class FigureCache:
    """Read figures when asked: one read at a time, and no more than a share of the time, however many ask."""

    def __init__(self, ask: Callable[[], Awaitable[Figures]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._found: Figures | None = None
        self._fresh_until = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def read(self, wait_seconds: float = WAIT_SECONDS) -> Figures | None:
        """Return the last figures; None where there are none that are younger than MAX_AGE."""
        loop = asyncio.get_running_loop()
        if self._reading is None and loop.time() >= self._fresh_until:
            self._reading = loop.create_task(self._refresh(), name="packhook-figures")
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=wait_seconds)
        found = self._found
        return found if found is not None and self._clock.now() - found.at < MAX_AGE else None

    async def close(self) -> None:
        """End a read that goes on."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            self._found = await self._ask()
        except Unavailable as error:
            self._found = None
            _log.warning("figures_unavailable", detail=error.detail)
        finally:
            now = loop.time()
            self._fresh_until = now + max(FRESH_SECONDS, (now - began) * BUSY_PART)
            self._reading = None


def samples_of_figures(figures: Figures) -> Iterator[Sample]:
    """Yield a sample for each combination of labels, 0 where there is nothing."""
    parts = {(part.urgency, part.condition): part for part in figures.due}
    for urgency in Urgency:
        for condition in WebhookCondition:
            part = parts.get((urgency, condition))
            labels = (urgency.name.lower(), condition.value)
            yield Sample(metrics.DUE, 0 if part is None else part.count, labels)
            age = 0 if part is None else figures.at - part.oldest_due_at
            yield Sample(metrics.DUE_OLDEST, age / SECOND, labels)
    for condition in WebhookCondition:
        yield Sample(metrics.WEBHOOKS, figures.webhooks.get(condition, 0), (condition.value,))
    yield Sample(metrics.REFUSED_EVENTS, figures.refused_events)
