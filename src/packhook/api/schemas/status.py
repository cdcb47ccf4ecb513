"""Schemas of what the operator sees of all organizations together."""

from pydantic import Field

from packhook.api.schemas.events import DeliveryOut
from packhook.api.schemas.health import ListedHealthOut
from packhook.api.schemas.model import PageModel, ResponseModel
from packhook.api.schemas.webhooks import WebhookOut


class DueOut(ResponseModel):
    """Count what is due and not being sent."""

    deliveries: int
    oldest_since: str | None
    by_urgency: dict[str, int] = Field(description="By `first`, `retry` and `replay`.")
    by_state: dict[str, int] = Field(
        description="By the state of the webhook: `active`, `failing`, `paused`, `disabled`."
    )


class RatesOut(ResponseModel):
    """Tell how many there were a second."""

    published: float
    attempts: float
    delivered: float


class NodeOut(ResponseModel):
    """Describe the node that responds."""

    name: str
    started_at: str
    draining: bool
    in_flight: int
    queued: int
    lanes_held: int
    breakers_open: int
    rates: dict[str, RatesOut] = Field(description="Of the last minute (`1m`) and five minutes (`5m`).")


class StatusOut(ResponseModel):
    """Show how the instance is. What only the database knows is null while it does not answer."""

    version: str
    database: str = Field(description="The URL without user, password and parameters.")
    database_answers: bool
    nodes: int | None
    due: DueOut | None
    webhooks: dict[str, int] | None = Field(description="By `active`, `failing`, `paused` and `disabled`.")
    refused_events: int | None = Field(description="Events whose deliveries could not be made.")
    failing: list[ListedHealthOut] | None = Field(description="The first ten webhooks that fail, by id.")
    node: NodeOut


class InstanceWebhookOut(WebhookOut):
    """Show a webhook of any organization; the secret is masked."""

    organization_id: str


class InstanceWebhookPage(PageModel):
    """List webhooks, oldest first."""

    data: list[InstanceWebhookOut]


class InstanceDeliveryOut(DeliveryOut):
    """Show a delivery of any organization."""

    organization_id: str


class InstanceDeliveryPage(PageModel):
    """List deliveries, newest first."""

    data: list[InstanceDeliveryOut]
