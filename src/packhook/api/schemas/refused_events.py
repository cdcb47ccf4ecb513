"""Schemas of events that were given up."""

from pydantic import Field

from packhook.api.schemas.model import PageModel, ResponseModel


class RefusedEventOut(ResponseModel):
    """Show an event that has no deliveries, because making them was given up."""

    id: str
    organization_id: str
    event_code: str
    created_at: str = Field(description="When it was published.")
    refused_at: str
    reason: str = Field(description="What broke the schema of the event type, or what the database said.")


class RefusedEventPage(PageModel):
    """List events that were given up, newest first."""

    data: list[RefusedEventOut]
