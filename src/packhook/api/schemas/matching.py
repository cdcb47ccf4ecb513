"""Schemas of matching an event with a webhook."""

from typing import Any, Self

from pydantic import Field, model_validator

from packhook.api.schemas.events import EventCode
from packhook.api.schemas.model import RequestModel, ResponseModel


class MatchRequest(RequestModel):
    """Name an event: one that was published by its id, or another by its code and data."""

    event_id: str = Field(default="", description="An event that was published.", max_length=64)
    event_code: EventCode = ""
    data: dict[str, Any] = Field(
        default={}, description="What would be published.", examples=[{"id": "ord_1", "brand_id": "brd_1"}]
    )

    @model_validator(mode="after")
    def _names_one_event(self) -> Self:
        if bool(self.event_id) == bool(self.event_code) or (self.event_id and self.data):
            raise ValueError("expected event_code and data, or event_id")
        return self


class MatchOut(ResponseModel):
    """Say whether the webhook gets the event, and why not."""

    matches: bool
    reasons: list[str] = Field(description="All that stands against it, in words; empty if it matches.")
    filter_error: str | None = Field(description="Why the filter has no value for it, which counts as a match.")
    held_reason: str | None = Field(description="Why its delivery would wait.")
