"""Schemas of replays."""

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, ValidationInfo, field_validator

from packhook.api.schemas.events import KnownPattern, few_patterns
from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.core.clock import from_rfc3339, to_rfc3339
from packhook.core.replay import ReplayQuery, ReplayStatus, Selection
from packhook.core.times import parse_utc_time

MAX_SUBJECT_LENGTH: Final = 1_000


def _instant(text: str) -> str:
    return to_rfc3339(parse_utc_time(text))


def _selection(text: str) -> str:
    if text not in tuple(Selection):
        raise ValueError(f"expected one of {', '.join(Selection)}")
    return text


Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]
Select = Annotated[str, AfterValidator(_selection), Field(json_schema_extra={"enum": list(Selection)})]


class ReplayCreate(RequestModel):
    """Create a replay, or preview it."""

    select: Select = Field(
        description="Failed (exhausted or canceled), missing (published before the webhook existed, or while it was "
        "disabled), delivered, or all.",
        examples=["failed"],
    )
    since: Instant = Field(description="Events published at this time or later.", examples=["2026-08-02T09:30:00Z"])
    until: Instant = Field(
        default="", description="Events published before this time.", examples=["2026-08-02T11:00:00Z"]
    )
    event_codes: Annotated[list[KnownPattern], BeforeValidator(few_patterns)] = Field(
        default=[],
        description="Only events of these codes and patterns (`order.*`).",
        max_length=50,
        examples=[["order.created"]],
    )
    subject: str = Field(
        default="",
        description="Only events about this: for orders the order's id.",
        min_length=1,
        max_length=MAX_SUBJECT_LENGTH,
        examples=["ord_1"],
    )
    latest_only: StrictBool = Field(
        default=False, description="Of the selected events only the newest of each subject.", examples=[False]
    )
    preview: StrictBool = Field(
        default=False, description="Only count what matches; nothing is written.", examples=[False]
    )

    @field_validator("until", mode="after")
    @classmethod
    def _is_after_since(cls, until: str, info: ValidationInfo) -> str:
        since = info.data.get("since")
        if since is not None and from_rfc3339(until) <= from_rfc3339(since):
            raise ValueError("expected a time after since")
        return until

    def query(self, organization_id: str, webhook_id: str) -> ReplayQuery:
        """Return what the body selects of the events of a webhook."""
        return ReplayQuery(
            organization_id=organization_id,
            webhook_id=webhook_id,
            selection=Selection(self.select),
            since=from_rfc3339(self.since),
            until=from_rfc3339(self.until) if self.until else None,
            event_codes=tuple(self.event_codes),
            subject=self.subject,
            latest_only=self.latest_only,
        )


class ReplayOut(ResponseModel):
    """Show a replay and its progress, in events."""

    id: str
    webhook_id: str
    select: str = Field(json_schema_extra={"enum": list(Selection)})
    since: Time
    until: Time | None
    event_codes: list[str]
    subject: str | None
    latest_only: bool
    status: str = Field(json_schema_extra={"enum": list(ReplayStatus)})
    matched: int = Field(description="Events that it takes: as many as a preview counted at that instant.")
    queued: int = Field(description="Of those, events whose delivery it made due.")
    delivered: int = Field(description="Of those, delivered ones.")
    failed: int = Field(description="Of those, exhausted and canceled ones, and events past retention.")
    created_at: Time
    finished_at: Time | None = Field(description="When it was finished or canceled.")
    created_by: str = Field(description="An API key's id, or `operator`.")


class ReplayPreviewOut(ResponseModel):
    """Show what a replay would take."""

    matched: int
    oldest: Time | None = Field(description="When the first of the events was published.")
    newest: Time | None = Field(description="When the last of the events was published.")
    sample: list[str] = Field(description="The ids of the first events, at most 10.")


class ReplayPage(PageModel):
    """List replays, newest first."""

    data: list[ReplayOut]
