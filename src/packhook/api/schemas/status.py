"""Schemas of what the operator sees of all organizations together."""

from pydantic import Field

from packhook.api.schemas.events import DeliveryOut
from packhook.api.schemas.health import ListedHealthOut
from packhook.api.schemas.model import PageModel, ResponseModel, Time
from packhook.api.schemas.webhooks import WebhookOut


class DueOut(ResponseModel):
    """Count what is due and not being sent."""

    deliveries: int
    oldest_since: Time | None
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
    """Describe one node, as it was when it was last seen."""

    name: str = Field(description="Of the host and the process; log lines have it as `node`.")
    version: str | None = Field(description="null for a node of a version that does not report.")
    started_at: Time
    seen_at: Time = Field(description="When the node reported this: a node reports every five seconds.")
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
    nodes: list[NodeOut] | None = Field(description="Each node that uses the database, the oldest first.")
    rates: dict[str, RatesOut] | None = Field(description="Of all nodes together, like those of a node.")
    due: DueOut | None
    webhooks: dict[str, int] | None = Field(description="By `active`, `failing`, `paused` and `disabled`.")
    refused_events: int | None = Field(description="Events whose deliveries could not be made.")
    failing: list[ListedHealthOut] | None = Field(description="The first ten webhooks that fail, by id.")
    node: NodeOut = Field(description="The node that responds.")


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
