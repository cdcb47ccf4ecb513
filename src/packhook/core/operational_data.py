"""Define the ``data`` of each operational event. OpenAPI takes the schemas from here."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

FAILING: Final = "webhook.failing"
DISABLED: Final = "webhook.disabled"
RECOVERED: Final = "webhook.recovered"
EXHAUSTED: Final = "delivery.exhausted"
REPLAY_FINISHED: Final = "replay.finished"

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Failure(Struct, frozen=True, kw_only=True):
    """Describe a failed attempt: when it began, and the cause in words."""

    at: Instant
    message: str


class Cause(Struct, frozen=True, kw_only=True):
    """Say why an attempt failed: the code and the message of its ``error``."""

    code: str
    message: str


class _AboutWebhook(Struct, frozen=True, kw_only=True):
    """Name the webhook, what happened (``message``), and what to do (``action``)."""

    organization_id: str
    webhook_id: str
    event_code: str
    endpoint: str
    message: str
    action: str


class WebhookFailing(_AboutWebhook, frozen=True, kw_only=True):
    """Warn that a webhook fails. ``warning`` is 1 after five failures, 2 and 3 as it is closer to being disabled.

    ``disables_at`` is the earliest instant at which packhook disables it.
    """

    state: Literal["failing"] = "failing"
    warning: Literal[1, 2, 3]
    failing_since: Instant
    failures: int
    last_failure: Failure
    disables_at: Instant


class WebhookDisabled(_AboutWebhook, frozen=True, kw_only=True):
    """Report that packhook disabled a webhook. Where its owner does, there is no event."""

    state: Literal["disabled"] = "disabled"
    reason: str
    disabled_at: Instant
    failing_since: Instant | None
    failures: int
    last_failure: Failure | None


class WebhookRecovered(_AboutWebhook, frozen=True, kw_only=True):
    """Report the first success of a webhook after ``webhook.failing`` or ``webhook.disabled``."""

    state: Literal["healthy"] = "healthy"
    failing_since: Instant
    recovered_at: Instant


class DeliveryExhausted(Struct, frozen=True, kw_only=True):
    """Report that a delivery was given up after its last attempt."""

    organization_id: str
    webhook_id: str
    endpoint: str
    delivery_id: str
    event_id: str
    event_code: str
    subject: str | None
    attempts: int
    cause: Cause
    exhausted_at: Instant
    message: str
    action: str


class ReplayFinished(Struct, frozen=True, kw_only=True):
    """Report that every delivery of a replay has ended."""

    organization_id: str
    webhook_id: str
    replay_id: str
    select: str
    since: Instant
    until: Instant | None
    matched: int
    delivered: int
    failed: int
    finished_at: Instant
    message: str


OperationalData = WebhookFailing | WebhookDisabled | WebhookRecovered | DeliveryExhausted | ReplayFinished

DATA_OF: Final[dict[str, type[OperationalData]]] = {
    EXHAUSTED: DeliveryExhausted,
    REPLAY_FINISHED: ReplayFinished,
    DISABLED: WebhookDisabled,
    FAILING: WebhookFailing,
    RECOVERED: WebhookRecovered,
}
"""The type of the ``data`` of each operational event."""
