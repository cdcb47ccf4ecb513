"""Hold the results of scenarios as values. Rates are per second, latencies in milliseconds, costs in µs of CPU."""

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct

from benchmarks.plan import Plan

PACKHOOK_PROCESSES = ("node", "database")
"""The processes whose CPU is packhook's cost; the others only generate and receive the load."""


class Latency(Struct, frozen=True):
    """Hold percentiles of a duration in milliseconds."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Interval(Struct, frozen=True):
    """Describe one interval of a run.

    ``at``: its end, in seconds from the start. ``accepted`` and ``delivered``: per second within it. ``backlog``:
    deliveries in flight at its end. ``p50`` and ``p99``: latency within it.
    """

    at: float
    accepted: float
    delivered: float
    backlog: int
    p50: float
    p99: float


class Loss(Struct, frozen=True, kw_only=True):
    """Compare the logs of publishers and receiver. All but ``duplicates`` and ``unknown`` must be zero.

    ``unknown``: arrivals of events whose acceptance the publisher did not see, because the response may have been lost.
    """

    expected: int
    lost: int
    badly_signed: int
    wrong_bodies: int
    duplicates: int = 0
    unknown: int = 0

    @property
    def is_none(self) -> bool:
        """Tell whether every expected delivery arrived, well signed, with the body that was published."""
        return not (self.lost or self.badly_signed or self.wrong_bodies)


class Memory(Struct, frozen=True):
    """Describe the nodes' resident memory in bytes: the peak, over time (seconds from the start), and its growth.

    ``slope``: bytes per delivery, over the second half of the run.
    """

    peak: int
    timeline: list[tuple[float, int]]
    slope: float


class Result(Struct, frozen=True, kw_only=True):
    """Hold the result of one scenario.

    ``latency``: from the due time of the publish to the receipt. ``response_time``: of the publish request. ``cost``:
    CPU per delivery of ``node`` (of it ``kernel``), ``database``, ``receiver``, ``publisher`` and ``bench`` (this
    command). ``cores``: cores in use by each of them; a receiver or publisher near 1 was the limit. ``others`` is
    everything else on this machine, ``stolen`` the share of a hypervisor: either makes the result worse than the truth.
    ``backlog_growth``: deliveries per second. ``wal``: bytes of WAL per delivery, None without PostgreSQL.
    """

    name: str
    plan: Plan
    seconds: float
    accepted: float
    delivered: float
    latency: Latency
    response_time: Latency
    cost: dict[str, float]
    cores: dict[str, float]
    memory: Memory
    loss: Loss
    refused: dict[str, int]
    backlog_peak: int
    backlog_growth: float
    timeline: list[Interval]
    wal: float | None = None

    @property
    def packhook_cost(self) -> float:
        """Return the cost of node and database together."""
        return sum(self.cost.get(name, 0.0) for name in PACKHOOK_PROCESSES)

    @property
    def is_flat(self) -> bool:
        """Tell whether the backlog grew by less than a fiftieth of the delivery rate."""
        return self.backlog_growth < self.delivered / 50


class BaselineResult(Struct, frozen=True, kw_only=True):
    """Hold the requests per second and the CPU per request of a bare client; ``receiver``: the receiver's CPU."""

    name: str
    delivered: float
    cost: float
    receiver: float
    loss: Loss


class Round(Struct, frozen=True, kw_only=True):
    """Compare packhook and the bare client in one round: deliveries per second, and CPU per delivery."""

    delivered: float
    cost: float
    baseline_delivered: float
    baseline_cost: float
    losses: list[Loss]

    @classmethod
    def of(cls, load: Result, baseline: BaselineResult) -> "Round":
        """Combine the two results of a round."""
        return cls(
            delivered=load.delivered,
            cost=load.packhook_cost,
            baseline_delivered=baseline.delivered,
            baseline_cost=baseline.cost,
            losses=[load.loss, baseline.loss],
        )

    @property
    def rate_ratio(self) -> float:
        """Return packhook's rate as a share of the bare client's."""
        return self.delivered / self.baseline_delivered

    @property
    def cpu_ratio(self) -> float:
        """Return packhook's CPU as a multiple of the bare client's."""
        return self.cost / self.baseline_cost


class CpuProfile(Struct, frozen=True, kw_only=True):
    """Split a node's CPU by layer: the shares of the profile, applied to the cost measured without a profiler.

    ``overhead``: what sampling added per delivery. ``statements``: sent to PostgreSQL per 100 deliveries.
    """

    layers: dict[str, float]
    overhead: float
    statements: float | None


class GrowthStep(Struct, frozen=True, kw_only=True):
    """Hold the results of all rounds at one amount of one axis (webhooks, backlog, history)."""

    axis: str
    amount: int
    rounds: list[Result]

    def median(self, of: Callable[[Result], float]) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(map(of, self.rounds))


class Growth(Struct, frozen=True, kw_only=True):
    """Hold the cost of a delivery as webhooks, backlog and history grow."""

    machine: dict[str, str]
    steps: list[GrowthStep]

    @property
    def scenarios(self) -> list[Result]:
        """Return the results of all rounds of all steps."""
        return [result for step in self.steps for result in step.rounds]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was lost in any scenario."""
        return all(result.loss.is_none for result in self.scenarios)

    def cost_ratios(self, step: GrowthStep) -> list[float]:
        """Return the step's cost as a multiple of the first step of its axis in the same round, in ascending order."""
        first = next(other for other in self.steps if other.axis == step.axis)
        return sorted(
            result.packhook_cost / (smallest.packhook_cost or 1.0)
            for result, smallest in zip(step.rounds, first.rounds, strict=True)
        )


class Report(Struct, frozen=True, kw_only=True):
    """Hold everything of one run, as it is written as JSON. ``skipped`` says which part was not measured, and why."""

    machine: dict[str, str]
    baselines: list[BaselineResult]
    scenarios: list[Result]
    rounds: list[Round]
    profile: CpuProfile | None
    skipped: list[str]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was lost in any part."""
        losses = [result.loss for result in self.scenarios] + [baseline.loss for baseline in self.baselines]
        losses += [loss for round_ in self.rounds for loss in round_.losses]
        return all(loss.is_none for loss in losses)


def latency(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of these durations; zeros for none."""
    if not seconds:
        return Latency()
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    return Latency(p50=at(0.5), p95=at(0.95), p99=at(0.99), max=ordered[-1] * 1000)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / variance if variance else 0.0
