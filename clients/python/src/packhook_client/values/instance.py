"""The instance as a whole, and its audit trail."""

from dataclasses import dataclass
from datetime import datetime

from packhook_client.values.webhooks import ListedHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Count what is due and not being sent."""

    deliveries: int
    oldest_since: datetime | None
    by_urgency: dict[str, int]
    by_state: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Tell how many there were a second."""

    published: float
    attempts: float
    delivered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """Describe a node as it was when it was last seen. ``rates`` has 1m and 5m."""

    name: str
    version: str | None
    started_at: datetime
    seen_at: datetime
    draining: bool
    in_flight: int
    queued: int
    lanes_held: int
    breakers_open: int
    rates: dict[str, Rates]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """Say how the instance is. What only the database knows is None while it does not answer."""

    version: str
    database: str
    database_answers: bool
    nodes: tuple[NodeStatus, ...] | None
    rates: dict[str, Rates] | None
    due: Due | None
    webhooks: dict[str, int] | None
    refused_events: int | None
    failing: tuple[ListedHealth, ...] | None
    node: NodeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Hold the result of a health check."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChange:
    """Hold a changed field. A value is None if it is not shown, or there was none."""

    field: str
    before: str | bool | None
    after: str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Say who did what to which object, when, and from where."""

    id: str
    created_at: datetime
    organization_id: str | None
    action: str
    object_kind: str
    object_id: str
    changes: tuple[AuditChange, ...]
    reason: str | None
    actor: str
    key_prefix: str | None
    source: str | None
    request_id: str | None
    user_agent: str | None
