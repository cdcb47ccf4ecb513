"""Schemas of events that were given up."""

from pydantic import Field

from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.api.schemas.replays import Instant


class RefusedEventOut(ResponseModel):
    """Show an event that has no deliveries, because making them was given up."""

    id: str
    organization_id: str
    event_code: str
    created_at: Time = Field(description="When it was published.")
    refused_at: Time
    reason: str = Field(description="What broke the schema of the event type, or what the database said.")


class RefusedEventsRetry(RequestModel):
    """Retry events that were given up, at most 1,000."""

    refused_until: Instant = Field(
        default="",
        description="Only those that were given up at this time or earlier; absent: until now. What is given up again "
        "meanwhile is left.",
        examples=["2026-08-02T11:00:00Z"],
    )


class RefusedEventsOfAllRetry(RefusedEventsRetry):
    """Retry events of any organization that were given up, at most 1,000."""

    organization_id: str = Field(default="", description="Only of this organization.", min_length=1, max_length=64)


class RetriedOut(ResponseModel):
    """Count the events whose deliveries are made now."""

    retried: int
    has_more: bool = Field(description="Others are left: repeat the request, with this `refused_until`.")
    refused_until: Time


class RefusedEventPage(PageModel):
    """List events that were given up, newest first."""

    data: list[RefusedEventOut]
