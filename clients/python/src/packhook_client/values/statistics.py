"""Counts of attempts."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Count attempts by what became of them."""

    delivered: int
    redirect: int
    client_error: int
    throttled: int
    server_error: int
    timeout: int
    connection_failed: int
    other: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sum up attempts since ``start``. The rate is None without attempts, a percentile without a response."""

    start: datetime
    attempts: int
    delivered: int
    failed: int
    exhausted: int
    success_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Counts):
    """Sum up the attempts that ended within a step."""

    outcomes: Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Hold a series from ``since`` to ``until``, oldest first, with a point for each step."""

    since: datetime = field(metadata={"member": "from"})
    until: datetime = field(metadata={"member": "to"})
    step: str
    data: tuple[Point, ...]
