"""Webhooks, and what is found out about them."""

from dataclasses import dataclass, field
from datetime import datetime

from packhook_client.values.deliveries import Attempt
from packhook_client.values.events import Event
from packhook_client.values.statistics import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Hold a client certificate, without its key."""

    subject: str
    issuer: str
    expires_at: datetime
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Hold a subscription. A setting that is not set has its default; ``secret`` may be masked.

    ``organization_id`` is set in lists of all organizations. ``etag`` is for ``if_match``; None in lists.
    """

    id: str
    event_code: str
    endpoint: str
    secret: str = field(repr=False)
    enabled: bool
    created_at: datetime
    updated_at: datetime
    description: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    rate_limit: float = 0.0
    timeout_seconds: float = 0.0
    retry_schedule: tuple[str, ...] = ()
    paused: bool = False
    event_codes: tuple[str, ...] = ()
    filter: str = ""
    payload: str = "full"
    client_certificate: Certificate | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    disables_at: datetime | None = None
    previous_secret_expires_at: datetime | None = None
    rotation_finish: str | None = None
    verified_at: datetime | None = None
    allowed_rate: float | None = None
    held_reason: str | None = None
    organization_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Hold a test event and its result."""

    event: Event
    attempt: Attempt
    delivered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Hold the result of an endpoint verification."""

    verified: bool
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold what one check of an endpoint found. ``level``: ok, warning or problem; ``fix`` says what to do."""

    check: str
    level: str
    message: str
    fix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReport:
    """Hold what is wrong with an endpoint, and the exchange in which it was found."""

    level: str
    summary: str
    findings: tuple[Finding, ...]
    event: Event
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Say whether a webhook gets an event; ``reasons`` has all that stands against it."""

    matches: bool
    reasons: tuple[str, ...]
    filter_error: str | None
    held_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFailure:
    """Describe the last attempt that failed."""

    at: datetime
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterErrors:
    """Count the events for which the filter had no value: they are delivered all the same."""

    count: int
    since: datetime
    last_at: datetime
    last_event_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHealth:
    """Say how a webhook is, what waits for it, and what its attempts came to: ``windows`` has 1h, 24h and 7d."""

    webhook_id: str
    state: str
    message: str
    failing_since: datetime | None
    disables_at: datetime | None
    last_failure: LastFailure | None
    backlog: int
    backlog_has_more: bool
    oldest_waiting_at: datetime | None
    next_attempt_at: datetime | None
    last_success_at: datetime | None
    filter_errors: FilterErrors | None
    windows: dict[str, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedHealth:
    """Say how a webhook of any organization is."""

    webhook_id: str
    organization_id: str
    event_code: str
    endpoint: str
    state: str
    message: str
    failing_since: datetime | None
    disables_at: datetime | None
    last_failure: LastFailure | None
