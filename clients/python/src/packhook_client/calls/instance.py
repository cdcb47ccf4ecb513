"""Calls about the instance as a whole, and its audit trail."""

from datetime import datetime

from packhook_client.call import BASE, ORGANIZATION, Call, act, get, page_of, value_of
from packhook_client.values.instance import AuditEntry, HealthCheck, InstanceStatus
from packhook_client.values.organizations import MasterKeyRotation
from packhook_client.values.pages import Page
from packhook_client.values.statistics import Statistics


def get_status() -> Call[InstanceStatus]:
    """Say how the instance is: version, nodes, what is due, failing webhooks, rates. Needs the operator key."""
    return get(f"{BASE}/status", value_of(InstanceStatus))


def get_statistics(
    *, since: datetime | str | None = None, until: datetime | str | None = None, step: str | None = None
) -> Call[Statistics]:
    """Return counts of the attempts of all webhooks, with a point for each ``step``. Needs the operator key."""
    return get(f"{BASE}/stats", value_of(Statistics), from_=since, to=until, step=step)


def list_audit_entries(
    *,
    action: str | None = None,
    actor: str | None = None,
    object_id: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[AuditEntry]]:
    """List who did what in the organization, the newest first."""
    return get(
        f"{ORGANIZATION}/audit", page_of(AuditEntry), per_page=per_page, cursor=cursor, action=action, actor=actor,
        object_id=object_id, since=since, until=until,
    )  # fmt: skip


def list_all_audit_entries(
    *,
    organization_id: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    object_id: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[AuditEntry]]:
    """List who did what in the whole instance, the newest first. Needs the operator key."""
    return get(
        f"{BASE}/audit", page_of(AuditEntry), per_page=per_page, cursor=cursor, organization_id=organization_id,
        action=action, actor=actor, object_id=object_id, since=since, until=until,
    )  # fmt: skip


def rotate_master_key() -> Call[MasterKeyRotation]:
    """Encrypt all secrets of webhooks under a new master key, while the node serves. Needs the operator key."""
    return act(f"{BASE}/master-key/rotate", value_of(MasterKeyRotation))


def check_health() -> Call[HealthCheck]:
    """Check that the process is alive."""
    return get("/health", value_of(HealthCheck))


def check_ready() -> Call[HealthCheck]:
    """Check that the node accepts writes and sends deliveries; Unavailable if it does not."""
    return get("/ready", value_of(HealthCheck))
