"""Build the conditions of filtered lists from the fields of their filters, the same for both dialects.

A field of a filter that is equal to the column of its name needs nothing here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from packhook.core import ids
from packhook.core.clock import MINUTE
from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import DeliveryStatus
from packhook.core.overview import WebhookCondition
from packhook.store.base import AuditFilter, DeliveryFilter, WebhookFilter
from packhook.store.overview import InstanceWebhookFilter
from packhook.store.refused_events import RefusedEventFilter
from packhook.store.replays import ReplayFilter
from packhook.store.timeline import EventFilter

MAX_ID_CLOCK_SKEW: Final = MINUTE
"""How far the time in the id of an event or a delivery may be from ``created_at``."""


class Conditions(Struct, frozen=True):
    """Hold the conditions of a WHERE clause, to be joined by AND, and their named values.

    ``key`` is the id, or the expression of it, that the list is ordered by.
    """

    texts: tuple[str, ...]
    values: Mapping[str, Any]
    key: str = "id"


class Hints(Struct, frozen=True, kw_only=True):
    """Tell how a dialect is led to an index.

    ``unindexed`` makes of a column an expression that no index serves. ``pending`` is the condition of the partial
    indexes that have pending deliveries. ``key_of_all`` is the expression of the id that the indexes over the
    deliveries of all organizations have, ``key_of_pending`` that of the one over pending ones. ``sending`` are the
    conditions that lead to an index of what is being sent, of all organizations, of one and of one webhook, and
    ``key_of_sending`` is the id as no index has it: they are few, and sorted. An empty condition: there is a statement
    for it.
    """

    unindexed: str
    pending: str
    key_of_all: str
    key_of_pending: str
    sending: tuple[str, str, str]
    key_of_sending: str


def api_key_conditions(organization_id: str) -> Conditions:
    """Return the conditions of a page of an organization's API keys."""
    return _combine({"organization_id = :organization_id": organization_id}, "revoked_at IS NULL")


def event_conditions(organization_id: str, where: EventFilter, hints: Hints) -> Conditions:
    """Return the conditions of a page of an organization's events; they lead to the narrowest index."""
    narrow = where.subject is not None or where.reference is not None
    event_code = hints.unindexed.format("event_code") if narrow else "event_code"
    subject = hints.unindexed.format("subject") if where.reference is not None else "subject"
    wanted = {
        "organization_id = :organization_id": organization_id,
        f"{event_code} = :event_code": where.event_code,
        f"{subject} = :subject": where.subject,
        **_time_range_conditions(where.since, where.until, ids.event_id_lower_bound),
    }
    found = _combine(wanted, *([] if where.subject is None else ["subject <> ''"]))
    return Conditions(found.texts, {**found.values, "reference": where.reference})


def webhook_conditions(organization_id: str, where: WebhookFilter) -> Conditions:
    """Return the conditions of a page of an organization's webhooks."""
    return _combine({"organization_id = :organization_id": organization_id, **_equal(where)}, "deleted_at IS NULL")


def replay_conditions(organization_id: str, where: ReplayFilter) -> Conditions:
    """Return the conditions of a page of an organization's replays."""
    return _combine({"organization_id = :organization_id": organization_id, **_equal(where)})


def health_conditions(
    organization_id: str | None = None, webhook_id: str | None = None, *, failing: bool = False
) -> Conditions:
    """Return the conditions of webhooks whose health is read; ``failing``: after so many failures in a row."""
    wanted: dict[str, object] = {
        "w.organization_id = :organization_id": organization_id,
        "id = :webhook_id": webhook_id,
        "failures >= :failures": FAILURES_TO_FAIL if failing else None,
    }
    return _combine(wanted, "deleted_at IS NULL")


def delivery_conditions(organization_id: str, where: DeliveryFilter, hints: Hints) -> Conditions:
    """Return the conditions of a page of an organization's deliveries; they lead to the narrowest index."""
    by_events = where.event_id is not None or is_by_events(where)
    sending = "" if by_events else _sending(where, hints.sending[1], hints)
    narrow = by_events or bool(sending) or where.webhook_id is not None or uses_per_webhook_merge(where)
    organization = hints.unindexed.format("organization_id") if narrow else "organization_id"
    wanted = {
        f"{organization} = :organization_id": organization_id,
        **_equal(where, "webhook_id", "status", "since", "until", "subject", "reference", "event_ids"),
    }
    return _delivery_conditions(where, wanted, hints, sending, "id", is_sought=not by_events)


def instance_delivery_conditions(where: DeliveryFilter, hints: Hints) -> Conditions:
    """Return the conditions of a page of all organizations' deliveries: of a webhook, a status, a time."""
    of_all = hints.key_of_pending if where.status is DeliveryStatus.PENDING else hints.key_of_all
    key = of_all if where.webhook_id is None else "id"
    return _delivery_conditions(where, {}, hints, _sending(where, hints.sending[0], hints), key, is_sought=True)


def _sending(where: DeliveryFilter, condition: str, hints: Hints) -> str:
    """Return the condition that leads to what is being sent; empty for other statuses."""
    if where.status is not DeliveryStatus.SENDING:
        return ""
    return condition if where.webhook_id is None else hints.sending[2]


def _delivery_conditions(
    where: DeliveryFilter, wanted: Mapping[str, object], hints: Hints, sending: str, key: str, *, is_sought: bool
) -> Conditions:
    """Return the conditions of a page of deliveries by this key; ``is_sought``: the status leads to an index."""
    literals = [] if where.status is None else [f"status = '{where.status.value}'"]  # a literal for partial indexes
    if is_sought and where.status is DeliveryStatus.PENDING:
        literals.append(hints.pending)
    webhook = "webhook_id"
    if sending:
        literals.append(sending)
        key, webhook = hints.key_of_sending, hints.unindexed.format(webhook)
    times = _time_range_conditions(where.since, where.until, ids.delivery_id_lower_bound, key)
    found = _combine({**wanted, f"{webhook} = :webhook_id": where.webhook_id, **times}, *literals)
    return Conditions(found.texts, found.values, key)


def instance_webhook_conditions(where: InstanceWebhookFilter) -> Conditions:
    """Return the conditions of a page of all organizations' webhooks."""
    literals = ["deleted_at IS NULL", *([] if where.state is None else _CONDITION_OF_STATE[where.state])]
    return _combine(_equal(where, "state"), *literals)


_FAILING: Final = f"(SELECT webhook_id FROM webhook_health WHERE failures >= {FAILURES_TO_FAIL})"  # noqa: S608 our own number
_CONDITION_OF_STATE: Final = {
    WebhookCondition.DISABLED: ("NOT enabled",),
    WebhookCondition.PAUSED: ("enabled", "paused"),
    WebhookCondition.FAILING: ("enabled", "NOT paused", f"id IN {_FAILING}"),
    WebhookCondition.ACTIVE: ("enabled", "NOT paused", f"id NOT IN {_FAILING}"),
}
"""As ``count_webhooks_by_condition`` has it."""


def refused_event_conditions(where: RefusedEventFilter) -> Conditions:
    """Return the conditions of a page of events that were given up."""
    wanted = {**_equal(where, "refused_until"), "refused_at <= :refused_until": where.refused_until}
    return _combine(wanted)


def audit_conditions(where: AuditFilter, hints: Hints) -> Conditions:
    """Return the conditions of a page of the audit trail; an object's id is narrower than its organization's."""
    organization = "organization_id" if where.object_id is None else hints.unindexed.format("organization_id")
    wanted = {
        f"{organization} = :organization_id": where.organization_id,
        **_equal(where, "organization_id", "since", "until", "shown_to_keys"),
        "created_at >= :since": where.since,
        "created_at < :until": where.until,
    }
    return _combine(
        wanted, *(["object_kind IN ('webhook', 'delivery', 'replay', 'event')"] if where.shown_to_keys else [])
    )


def is_by_events(where: DeliveryFilter) -> bool:
    """Return whether events have to be found first."""
    return any(value is not None for value in (where.subject, where.reference, where.event_ids))


def uses_per_webhook_merge(where: DeliveryFilter) -> bool:
    """Return whether a page is merged from the lists of webhooks, or is of one, each read by an index of its own.

    So the deliveries of webhooks for other event codes are not read. What is being sent is few.
    """
    wide = where.event_code is not None and where.event_id is None and not is_by_events(where)
    return wide and where.status is not DeliveryStatus.SENDING


def _time_range_conditions(
    since: int | None, until: int | None, lower_bound: Callable[[int], str], key: str = "id"
) -> dict[str, object]:
    """Return ``since`` and ``until`` as bounds of the id too: ids sort by time, so a page begins at the right place."""
    return {
        "created_at >= :since": since,
        f"{key} >= :since_id": None if since is None else lower_bound(since - MAX_ID_CLOCK_SKEW),
        "created_at < :until": until,
        f"{key} < :until_id": None if until is None else lower_bound(until + MAX_ID_CLOCK_SKEW),
    }


def _equal(where: Struct, *other: str) -> dict[str, object]:
    """Return ``column = :column`` for each field of a filter but the others."""
    return {f"{name} = :{name}": getattr(where, name) for name in where.__struct_fields__ if name not in other}


def _combine(wanted: Mapping[str, object], *literals: str) -> Conditions:
    """Return the conditions whose value is set, and the literal ones."""
    found = {text: value for text, value in wanted.items() if value is not None}
    return Conditions((*found, *literals), {text.rsplit(":", 1)[1]: value for text, value in found.items()})
