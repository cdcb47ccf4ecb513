"""Name every metric once, and write samples of them in the text format of Prometheus.

A metric's name, kind, labels and meaning are public: ``docs/reference/metrics.md`` has the same table, and a test
compares them. No label names a webhook or an organization, so the number of series does not grow with either.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from packhook.telemetry.counts import DeliveryCounts, Histogram, StoreCounts

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    """Name the kinds of metrics."""

    COUNTER = "counter"  # grows until the node ends
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """Declare a metric. ``name`` is that of its series; a histogram's have ``_bucket``, ``_sum`` and ``_count``."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """Hold the value of a metric, or of one of its series; ``labels`` are the values of the metric's labels."""

    metric: Metric
    value: float | Histogram
    labels: tuple[str, ...] = ()


INFO: Final = Metric("packhook_info", Kind.GAUGE, "Always 1; the label says which `version` runs.", ("version",))
PUBLISHED: Final = Metric("packhook_events_published_total", Kind.COUNTER, "Events that were published and committed.")
PUBLISH_SECONDS: Final = Metric(
    "packhook_publish_duration_seconds", Kind.HISTOGRAM, "Time from a decoded publish request to its commit."
)
ATTEMPTS: Final = Metric(
    "packhook_attempts_total",
    Kind.COUNTER,
    "Attempts by `result`: `delivered`, or the error's code.",
    ("result",),
)
FINISHED_DELIVERIES: Final = Metric(
    "packhook_deliveries_finished_total",
    Kind.COUNTER,
    "Deliveries that an attempt finished, by `status`: `delivered` or `exhausted`.",
    ("status",),
)
DELIVERY_SECONDS: Final = Metric(
    "packhook_delivery_duration_seconds",
    Kind.HISTOGRAM,
    "Time from the publication of an event to its successful response.",
)
RECEIVER_SECONDS: Final = Metric(
    "packhook_receiver_duration_seconds", Kind.HISTOGRAM, "Duration of an attempt, from DNS to the last byte read."
)
IN_FLIGHT: Final = Metric("packhook_attempts_in_flight", Kind.GAUGE, "Attempts that run now.")
QUEUED: Final = Metric("packhook_deliveries_queued", Kind.GAUGE, "Deliveries that are queued in the node's memory.")
LANES: Final = Metric("packhook_lanes", Kind.GAUGE, "Webhooks that the node has sent to lately.")
LANES_HELD: Final = Metric("packhook_lanes_held", Kind.GAUGE, "Webhooks that the node sends nothing to for a while.")
BREAKERS_OPEN: Final = Metric(
    "packhook_breakers_open", Kind.GAUGE, "Webhooks whose circuit breaker is open, or tries one attempt at a time."
)
LOOP_LAG: Final = Metric(
    "packhook_event_loop_lag_seconds", Kind.HISTOGRAM, "How late the event loop ran a timer, measured twice a second."
)
COMMIT_SECONDS: Final = Metric(
    "packhook_commit_duration_seconds", Kind.HISTOGRAM, "Time of a write transaction, from its begin to its commit."
)
COMMIT_WRITES: Final = Metric("packhook_commit_writes", Kind.HISTOGRAM, "Writes that shared a transaction.")
DATABASE_ERRORS: Final = Metric(
    "packhook_database_errors_total", Kind.COUNTER, "Reads and writes that the database failed."
)
CONNECTIONS: Final = Metric(
    "packhook_connections",
    Kind.GAUGE,
    "Open connections by `peer`: `client`, `receiver` or `database`.",
    ("peer",),
)
LOG_LINES_DROPPED: Final = Metric(
    "packhook_log_lines_dropped_total", Kind.COUNTER, "Log lines that could not be written."
)
DUE: Final = Metric(
    "packhook_deliveries_due",
    Kind.GAUGE,
    "Deliveries in the database that are due and not being sent, by `urgency` (`first`, `retry`, `replay`) and the "
    "`state` of their webhook. Of the whole instance.",
    ("urgency", "state"),
)
DUE_OLDEST: Final = Metric(
    "packhook_deliveries_due_oldest_seconds",
    Kind.GAUGE,
    "For how long the oldest of them has been due; 0 if there is none. Of the whole instance.",
    ("urgency", "state"),
)
WEBHOOKS: Final = Metric(
    "packhook_webhooks",
    Kind.GAUGE,
    "Webhooks by `state`: `active`, `failing`, `paused` or `disabled`. Of the whole instance.",
    ("state",),
)
REFUSED_EVENTS: Final = Metric(
    "packhook_refused_events", Kind.GAUGE, "Events whose deliveries could not be made. Of the whole instance."
)

METRICS: Final = (
    INFO, PUBLISHED, PUBLISH_SECONDS, ATTEMPTS, FINISHED_DELIVERIES, DELIVERY_SECONDS, RECEIVER_SECONDS, IN_FLIGHT,
    QUEUED, LANES, LANES_HELD, BREAKERS_OPEN, LOOP_LAG, COMMIT_SECONDS, COMMIT_WRITES, DATABASE_ERRORS, CONNECTIONS,
    LOG_LINES_DROPPED, DUE, DUE_OLDEST, WEBHOOKS, REFUSED_EVENTS,
)  # fmt: skip


def samples_of_store(counts: StoreCounts) -> Iterator[Sample]:
    """Yield what a store has counted."""
    yield Sample(PUBLISHED, counts.published)
    yield Sample(COMMIT_SECONDS, counts.commit_seconds)
    yield Sample(COMMIT_WRITES, counts.writes)
    yield Sample(DATABASE_ERRORS, counts.errors)
    yield from connections("database", counts.connections())


def samples_of_deliveries(counts: DeliveryCounts) -> Iterator[Sample]:
    """Yield what a scheduler has counted."""
    for result, count in counts.attempts.items():
        yield Sample(ATTEMPTS, count, (result,))
    for status, count in counts.finished.items():
        yield Sample(FINISHED_DELIVERIES, count, (status,))
    yield Sample(RECEIVER_SECONDS, counts.receiver_seconds)
    yield Sample(DELIVERY_SECONDS, counts.delivery_seconds)


def connections(peer: str, count: int) -> Iterator[Sample]:
    """Yield how many connections are open: ``peer`` is client, receiver or database."""
    yield Sample(CONNECTIONS, count, (peer,))


def exposition(samples: Iterable[Sample], process: int | None = None) -> bytes:
    """Return the samples, and those of the operating system's process, as text for Prometheus.

    ``process`` becomes a label of every series, where several processes share an address.
    """
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 takes 50 ms of every start
    from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415 as above

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(samples, () if process is None else (("process", str(process)),)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collected:
    """Give prometheus-client the families of these samples."""

    def __init__(self, samples: Iterable[Sample], constant: tuple[tuple[str, str], ...]) -> None:
        self._samples = samples
        self._constant = constant

    def collect(self) -> "Iterator[Family]":
        """Yield a family for each metric that has samples."""
        by_metric: dict[Metric, list[Sample]] = {}
        for sample in self._samples:
            by_metric.setdefault(sample.metric, []).append(sample)
        for metric, found in by_metric.items():
            yield self._family(metric, found)

    def _family(self, metric: Metric, samples: list[Sample]) -> "Family":
        from prometheus_client.core import (  # noqa: PLC0415 as above
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        names = [*metric.labels, *(name for name, _ in self._constant)]
        own = [value for _, value in self._constant]
        text = metric.meaning.replace("`", "")
        if metric.kind is Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, text, labels=names)
            for sample in samples:
                assert isinstance(sample.value, Histogram)  # noqa: S101 declared so
                histogram.add_metric([*sample.labels, *own], _buckets(sample.value), sample.value.total)
            return histogram
        kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = kind(metric.name, text, labels=names)
        for sample in samples:
            assert not isinstance(sample.value, Histogram)  # noqa: S101 as above
            family.add_metric([*sample.labels, *own], sample.value)
        return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return the cumulative counts by upper bound, as the text format has them."""
    bounds = [*(repr(bound) for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
