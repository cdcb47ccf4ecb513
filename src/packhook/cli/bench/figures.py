"""What came out of a scenario, as values. Rates are a second, latencies milliseconds, costs microseconds of CPU."""

from collections.abc import Sequence

from msgspec import Struct

from packhook.cli.bench.plan import Plan


class Latency(Struct, frozen=True):
    """From the moment an event was due to be published to its receipt, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Moment(Struct, frozen=True):
    """One stretch of the run: at its end (seconds from the begin), deliveries a second, the median latency in it."""

    at: float
    delivered: float
    p50: float


class Figures(Struct, frozen=True):
    """One scenario. ``cost`` is by layer, ``database`` PostgreSQL's; ``receiver`` shows that it was not the limit."""

    name: str
    plan: Plan
    accepted: float
    delivered: float
    latency: Latency
    answered: Latency
    cost: dict[str, float]
    cost_of_ours: float
    receiver_share: float
    peak_memory: int
    lost: int
    duplicates: int
    badly_signed: int
    refused: dict[str, int]
    course: list[Moment]

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing badly signed."""
        return not self.lost and not self.badly_signed


class FloorFigures(Struct, frozen=True):
    """The bare sending: requests a second, and microseconds of CPU for each."""

    delivered: float
    cost: float


class Report(Struct, frozen=True):
    """Everything of one run, as it is written as JSON."""

    machine: dict[str, str]
    floor: FloorFigures | None
    scenarios: list[Figures]

    @property
    def is_good(self) -> bool:
        """Whether every scenario is."""
        return all(scenario.is_good for scenario in self.scenarios)


def latency(seconds: Sequence[float]) -> Latency:
    """Of at least one duration."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    return Latency(p50=at(0.5), p95=at(0.95), p99=at(0.99), max=ordered[-1] * 1000)
