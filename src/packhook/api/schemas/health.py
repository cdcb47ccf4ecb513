"""Schemas of the health of webhooks."""

from pydantic import Field

from packhook.api.schemas.model import PageModel, ResponseModel, Time
from packhook.api.schemas.statistics import CountsOut
from packhook.core.health import HealthState


class LastFailureOut(ResponseModel):
    """Describe the last attempt that failed."""

    at: Time
    code: str
    message: str


class WebhookStateOut(ResponseModel):
    """Show how a webhook is."""

    webhook_id: str
    state: str = Field(json_schema_extra={"enum": list(HealthState)})
    message: str = Field(description="The state in a sentence for people.")
    failing_since: Time | None
    disables_at: Time | None
    last_failure: LastFailureOut | None


class FilterErrorsOut(ResponseModel):
    """Count the events for which the filter had no value: they are delivered all the same."""

    count: int
    since: Time
    last_at: Time
    last_event_id: str
    message: str = Field(description="Why, for the last of them.")


class WebhookHealthOut(WebhookStateOut):
    """Show how a webhook is, what waits for it, and what its attempts came to."""

    backlog: int = Field(description="Deliveries that are not finished; at most 10,000 are counted.")
    backlog_has_more: bool
    oldest_waiting_at: Time | None
    next_attempt_at: Time | None
    last_success_at: Time | None
    filter_errors: FilterErrorsOut | None = Field(description="Since the filter was written; null: none.")
    windows: dict[str, CountsOut] = Field(description="The last hour (`1h`), day (`24h`) and week (`7d`).")


class ListedHealthOut(WebhookStateOut):
    """Show how a webhook of any organization is."""

    organization_id: str
    event_code: str
    endpoint: str


class HealthPage(PageModel):
    """List webhooks by id."""

    data: list[ListedHealthOut]
