"""Describe changes for the audit trail: who did what to which object, when, and from where; never a secret.

An entry is made where the change is decided, and passed to the store with it: both are written, or neither.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from packhook.core import ids
from packhook.core.idempotency import Remember, StoredResponse
from packhook.core.model import ApiKey, EventType, Webhook

OPERATOR: Final = "operator"
PACKHOOK: Final = "packhook"
MAX_USER_AGENT_LENGTH: Final = 200
_FIELDS_WITH_VALUES: Final = ("event_code", "endpoint", "enabled", "paused")
_UNSET: Final = {"paused": False}
_NOT_SETTINGS: Final = {"id", "organization_id", "created_at", "updated_at", "version", "disabled_reason"} | {
    "client_key", "verification_pending", "verified_at", "allowed_rate", "previous_secrets", "rotation_finish"
}  # fmt: skip
_API_NAMES: Final = {"timeout": "timeout_seconds"}
_FIELDS_BY_NAME: Final = {  # every other setting: the entry names it, without its value
    name: _API_NAMES.get(name, name)
    for name in Webhook.__struct_fields__
    if name not in {*_NOT_SETTINGS, *_FIELDS_WITH_VALUES}
}

Value = str | bool | None

T = TypeVar("T")


class Action(StrEnum):
    """Name what was done; the part before the dot is the kind of object."""

    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_UPDATED = "organization.updated"
    ORGANIZATION_DELETED = "organization.deleted"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_DIAGNOSED = "webhook.diagnosed"
    WEBHOOK_SECRET_SHOWN = "webhook.secret_shown"  # noqa: S105 a name
    WEBHOOK_VERIFIED = "webhook.verified"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 a name
    WEBHOOK_SECRETS_RETIRED = "webhook.secrets_retired"
    EVENT_ERASED = "event.erased"
    EVENT_RETRIED = "event.retried"
    EVENT_DISCARDED = "event.discarded"
    DELIVERY_RETRIED = "delivery.retried"
    REPLAY_CREATED = "replay.created"
    REPLAY_PAUSED = "replay.paused"
    REPLAY_RESUMED = "replay.resumed"
    REPLAY_CANCELED = "replay.canceled"
    PORTAL_SESSION_CREATED = "portal_session.created"
    PORTAL_SESSION_OPENED = "portal_session.opened"
    EVENT_TYPE_CREATED = "event_type.created"
    EVENT_TYPE_UPDATED = "event_type.updated"
    EVENT_TYPE_ARCHIVED = "event_type.archived"
    MASTER_KEY_ROTATED = "master_key.rotated"
    OPERATOR_KEY_CREATED = "operator_key.created"
    OPERATOR_SESSION_OPENED = "operator_session.opened"
    OPERATOR_SESSION_ENDED = "operator_session.ended"

    @property
    def kind(self) -> str:
        """Return the kind of object."""
        return self.value.partition(".")[0]


class Actor(Struct, frozen=True, kw_only=True):
    """Name who asks for a change, and from where.

    ``name`` is ``operator``, ``packhook`` or an API key's id; ``source`` the address that the request came from,
    ``cli`` for a command that writes to the database itself, ``node`` for what packhook does by itself.
    """

    name: str
    source: str
    key_prefix: str = ""
    request_id: str = ""
    user_agent: str = ""


CLI: Final = Actor(name=OPERATOR, source="cli")
NODE: Final = Actor(name=PACKHOOK, source="node")


class Change(Struct, frozen=True):
    """Describe a changed field; the values are None where they are not shown, or there was none."""

    field: str
    before: Value = None
    after: Value = None


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Describe one change. ``organization_id`` is empty for what concerns the whole instance.

    ``response`` is stored in the same transaction, and is no part of the trail: AlreadyAnswered where its key is taken.
    """

    id: str
    created_at: int
    action: Action
    organization_id: str
    object_id: str
    by: Actor
    changes: tuple[Change, ...] = ()
    reason: str = ""
    response: StoredResponse | None = None


def remembered(entry: AuditEntry, remember: Remember[T] | None, made: T) -> AuditEntry:
    """Return the entry with the response to a request that made this; None: the request has no Idempotency-Key."""
    return entry if remember is None else msgspec.structs.replace(entry, response=remember(made))


def entry(
    action: Action,
    by: Actor,
    now: int,
    *,
    organization_id: str = "",
    object_id: str,
    changes: tuple[Change, ...] = (),
    reason: str = "",
) -> AuditEntry:
    """Return a new entry."""
    return AuditEntry(
        id=ids.audit_id(),
        created_at=now,
        action=action,
        organization_id=organization_id,
        object_id=object_id,
        by=by,
        changes=changes,
        reason=reason,
    )


def webhook_entry(action: Action, by: Actor, now: int, webhook: Webhook, before: Webhook | None = None) -> AuditEntry:
    """Return the entry of a created (``before`` None) or changed webhook: its fields by name, four with values."""
    known: Mapping[str, Any] = {} if before is None else msgspec.structs.asdict(before)
    after = msgspec.structs.asdict(webhook)
    with_values = tuple(
        Change(name, known.get(name), after[name])
        for name in _FIELDS_WITH_VALUES
        if after[name] != known.get(name, _UNSET.get(name))
    )
    by_name = tuple(
        Change(api_name)
        for name, api_name in _FIELDS_BY_NAME.items()
        if after[name] != known.get(name, type(after[name])())
    )
    return entry(
        action,
        by,
        now,
        organization_id=webhook.organization_id,
        object_id=webhook.id,
        changes=with_values + by_name,
    )


def event_type_changes(before: EventType | None, after: EventType, fields: Collection[str]) -> tuple[Change, ...]:
    """Return the changes of an event type's fields; schema and example by name alone, for they are long."""
    return tuple(
        Change(name, None if before is None else _event_type_value(before, name), _event_type_value(after, name))
        for name in fields
    )


def _event_type_value(event_type: EventType, name: str) -> Value:
    match name:
        case "archived_at":
            return event_type.archived_at is not None
        case "reference_pointers":
            return " ".join(event_type.reference_pointers)
        case "description" | "subject_pointer":
            return str(getattr(event_type, name))
    return None


def api_key_created_entry(by: Actor, key: ApiKey, expires_at: str | None) -> AuditEntry:
    """Return the entry of a created API key; ``expires_at`` as text."""
    shown = {"name": key.name, "prefix": key.prefix, "scopes": " ".join(key.scopes), "expires_at": expires_at}
    return entry(
        Action.API_KEY_CREATED,
        by,
        key.created_at,
        organization_id=key.organization_id,
        object_id=key.id,
        changes=tuple(Change(name, None, value) for name, value in shown.items() if value),
    )


def auto_disabled_entry(organization_id: str, webhook_id: str, reason: str, now: int) -> AuditEntry:
    """Return the entry of a webhook that was disabled automatically, with the reason."""
    return entry(
        Action.WEBHOOK_UPDATED,
        NODE,
        now,
        organization_id=organization_id,
        object_id=webhook_id,
        changes=(Change("enabled", True, False),),
        reason=reason,
    )
