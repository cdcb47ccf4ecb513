"""What came out of a scenario, as values. Rates are a second, latencies milliseconds, costs microseconds of CPU."""

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct

from packhook.cli.bench.plan import Plan

OURS = ("node", "database")
"""Whose CPU is the cost of packhook: the others only make the load and take it."""


class Latency(Struct, frozen=True):
    """From the moment an event was due to be published to its receipt, in milliseconds."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Moment(Struct, frozen=True):
    """One stretch of the run: at its end (seconds from the begin), accepted and delivered a second in it, how many were
    on their way at its end, the latency in it."""

    at: float
    accepted: float
    delivered: float
    backlog: int
    p50: float
    p99: float


class Loss(Struct, frozen=True, kw_only=True):
    """What the ledgers of publishers and receiver say, put beside each other. All but ``duplicates`` must be zero.

    ``unknown``: it arrived, and nobody was told that it was accepted (its answer may have been lost).
    """

    expected: int
    lost: int
    badly_signed: int
    wrong_bodies: int
    duplicates: int = 0
    unknown: int = 0

    @property
    def is_none(self) -> bool:
        """Every delivery that was promised has arrived, well signed, with the body that was published."""
        return not (self.lost or self.badly_signed or self.wrong_bodies)


class Memory(Struct, frozen=True):
    """The nodes' resident memory in bytes: the peak, over time (seconds from the begin), and how it grows.

    ``slope``: bytes for each delivery, by the run's second half.
    """

    peak: int
    course: list[tuple[float, int]]
    slope: float


class Figures(Struct, frozen=True, kw_only=True):
    """One scenario.

    ``cost`` is the CPU for one delivered event: ``node``, of it the ``kernel``'s part, ``database`` (PostgreSQL's
    processes), ``receiver``, ``publisher`` and ``bench`` (the command itself). ``cores`` is how many cores each had at
    work: a receiver or publisher near 1 was the limit; ``others`` is everything else on this machine, ``stolen`` what a
    hypervisor gave away: with these, figures are worse than the truth. ``backlog_growth``: deliveries a second.
    """

    name: str
    plan: Plan
    seconds: float
    accepted: float
    delivered: float
    latency: Latency
    answered: Latency
    cost: dict[str, float]
    cores: dict[str, float]
    memory: Memory
    loss: Loss
    refused: dict[str, int]
    backlog_most: int
    backlog_growth: float
    course: list[Moment]

    @property
    def cost_of_ours(self) -> float:
        """Node and database."""
        return sum(self.cost.get(name, 0.0) for name in OURS)

    @property
    def is_flat(self) -> bool:
        """Whether deliveries kept up with publishes: the backlog grew by less than a fiftieth of what was delivered."""
        return self.backlog_growth < self.delivered / 50


class Bare(Struct, frozen=True, kw_only=True):
    """The bare sending of the same bodies by ``name``: requests a second, and CPU for each."""

    name: str
    delivered: float
    cost: float
    receiver: float
    loss: Loss


class Turn(Struct, frozen=True, kw_only=True):
    """One round: what packhook delivered and the bare library sent a second, and the CPU of each for one of them."""

    delivered: float
    cost: float
    bare_delivered: float
    bare_cost: float
    losses: list[Loss]

    @classmethod
    def of(cls, load: Figures, bare: Bare) -> "Turn":
        """What stands beside each other."""
        return cls(
            delivered=load.delivered,
            cost=load.cost_of_ours,
            bare_delivered=bare.delivered,
            bare_cost=bare.cost,
            losses=[load.loss, bare.loss],
        )

    @property
    def rate(self) -> float:
        """What packhook delivered as a share of what the bare library sent."""
        return self.delivered / self.bare_delivered

    @property
    def cpu(self) -> float:
        """How many times its CPU packhook used."""
        return self.cost / self.bare_cost


class Split(Struct, frozen=True, kw_only=True):
    """Where a node's CPU goes, by layer: the shares that the profile saw, of the cost that was measured without it.

    ``sampler``: what sampling itself cost for each delivery. ``statements``: sent to PostgreSQL for 100 deliveries.
    """

    layers: dict[str, float]
    sampler: float
    statements: float | None


class Step(Struct, frozen=True, kw_only=True):
    """One point of the growth: so much of ``axis`` (webhooks, backlog, history), and what each round came to."""

    axis: str
    amount: int
    rounds: list[Figures]

    def median(self, of: Callable[[Figures], float]) -> float:
        """The middle one of the rounds."""
        return statistics.median(map(of, self.rounds))


class Growth(Struct, frozen=True, kw_only=True):
    """What one delivered event costs as work grows."""

    machine: dict[str, str]
    steps: list[Step]

    @property
    def scenarios(self) -> list[Figures]:
        """What was measured at each step, in each round."""
        return [each for step in self.steps for each in step.rounds]

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost in any of it."""
        return all(each.loss.is_none for each in self.scenarios)

    def over(self, step: Step) -> list[float]:
        """How many times what the first step of its axis cost in the same round; from the least to the most."""
        first = next(each for each in self.steps if each.axis == step.axis)
        return sorted(
            each.cost_of_ours / (least.cost_of_ours or 1.0)
            for each, least in zip(step.rounds, first.rounds, strict=True)
        )


class Report(Struct, frozen=True, kw_only=True):
    """Everything of one run, as it is written as JSON. ``without`` says what could not be measured, and why."""

    machine: dict[str, str]
    floors: list[Bare]
    scenarios: list[Figures]
    turns: list[Turn]
    split: Split | None
    without: list[str]

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost in any of it."""
        losses = [each.loss for each in self.scenarios] + [each.loss for each in self.floors]
        losses += [loss for turn in self.turns for loss in turn.losses]
        return all(loss.is_none for loss in losses)


def latency(seconds: Sequence[float]) -> Latency:
    """Of these durations."""
    if not seconds:
        return Latency()
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    return Latency(p50=at(0.5), p95=at(0.95), p99=at(0.99), max=ordered[-1] * 1000)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How steep the line of least squares through them is; 0 through fewer than two."""
    if len(points) < 2:
        return 0.0
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    across = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / across if across else 0.0
