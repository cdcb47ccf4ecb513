"""Schemas of statistics."""

from pydantic import Field

from packhook.api.schemas.model import ResponseModel, Time


class OutcomesOut(ResponseModel):
    """Count attempts by what became of them."""

    delivered: int
    redirect: int
    client_error: int
    throttled: int
    server_error: int
    timeout: int
    connection_failed: int
    other: int


class CountsOut(ResponseModel):
    """Sum up attempts. The percentiles are of the receiver's time, at most 12.5 % wrong; null without a response."""

    start: str
    attempts: int
    delivered: int
    failed: int
    exhausted: int = Field(description="Deliveries that were given up.")
    success_rate: float | None = Field(description="Delivered of all attempts, 0 to 1; null without attempts.")
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None


class PointOut(CountsOut):
    """Sum up the attempts that ended within a step."""

    outcomes: OutcomesOut


class ChartOut(ResponseModel):
    """Show a series, oldest first, with a point for each step."""

    since: Time = Field(alias="from")
    until: Time = Field(alias="to")
    step: str
    data: list[PointOut]
