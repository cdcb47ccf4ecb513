"""Schemas of the endpoint doctor."""

from pydantic import Field

from packhook.api.schemas.events import AttemptOut, EventOut
from packhook.api.schemas.model import ResponseModel
from packhook.core.endpoint_findings import Check, Level


class FindingOut(ResponseModel):
    """Show what one check found."""

    check: str = Field(json_schema_extra={"enum": list(Check)})
    level: str = Field(json_schema_extra={"enum": list(Level)})
    message: str = Field(description="What was found, in a sentence.")
    fix: str | None = Field(description="What to do about it.")


class EndpointReportOut(ResponseModel):
    """Show what is wrong with an endpoint, and the exchange in which it was found."""

    level: str = Field(json_schema_extra={"enum": list(Level)}, description="That of the most serious finding.")
    summary: str
    findings: list[FindingOut]
    event: EventOut
    attempt: AttemptOut
