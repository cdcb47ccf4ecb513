"""Read events, deliveries and attempts back; retry a delivery."""

from collections.abc import Sequence

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Attempt, Delivery, DeliveryStatus, Event, Interruption
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.erasure import WAS_ERASED
from packhook.store.filters import (
    Conditions,
    delivery_conditions,
    event_conditions,
    is_by_events,
    uses_per_webhook_merge,
)
from packhook.store.leasing import BEING_SENT
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import HINTS, SQL, fetch_all, fetch_one, fetch_page
from packhook.store.timeline import ANY_EVENT, MAX_EVENTS_OF_SUBJECT, AttemptLog, EventFilter


def get_event(db: apsw.Connection, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
    """See Store.get_event."""
    require_organization(db, organization_id)
    row = fetch_one(db, SQL["get_event"], (organization_id, event_id))
    if row is None:
        raise NotFound(f"no event {event_id!r}")
    deliveries = fetch_all(db, SQL["event_deliveries"], (event_id, organization_id))
    return rows.EVENTS.read(row), tuple(map(rows.delivery, deliveries))


def list_events(
    db: apsw.Connection, organization_id: str, page: PageRequest, where: EventFilter = ANY_EVENT
) -> Page[Event]:
    """See Store.list_events."""
    require_organization(db, organization_id)
    name = "list_events" if where.reference is None else "list_events_by_reference"
    conditions = event_conditions(organization_id, where, HINTS)
    return fetch_page(db, name, conditions, page, rows.EVENTS.read, newest_first=True)


def subjects_of(db: apsw.Connection, organization_id: str, reference: str) -> tuple[str, ...]:
    """See Store.subjects_of."""
    require_organization(db, organization_id)
    found = fetch_all(db, SQL["find_events_by_reference"], (organization_id, reference, MAX_EVENTS_OF_SUBJECT))
    return tuple(dict.fromkeys(subject for _, subject in found if subject))


def get_delivery(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
    """See Store.get_delivery."""
    delivery, _ = _find_delivery(db, organization_id, delivery_id)
    attempts = fetch_all(db, SQL["delivery_attempts"], (delivery_id,))
    return delivery, tuple(map(rows.ATTEMPTS.read, reversed(attempts)))


def _find_delivery(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[Delivery, int]:
    """Return a delivery and its rowid. Raises NotFound."""
    require_organization(db, organization_id)
    row = fetch_one(db, SQL["get_delivery"], (organization_id, delivery_id))
    if row is None:
        raise NotFound(f"no delivery {delivery_id!r}")
    return rows.delivery(row), row[-1]


def interruptions(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
    """See Store.interruptions."""
    if fetch_one(db, SQL["get_delivery"], (organization_id, delivery_id)) is None:
        return ()
    return tuple(map(rows.INTERRUPTIONS.read, fetch_all(db, SQL["delivery_interruptions"], (delivery_id,))))


def list_deliveries(
    db: apsw.Connection, organization_id: str, page: PageRequest, where: DeliveryFilter
) -> Page[Delivery]:
    """See Store.list_deliveries."""
    require_organization(db, organization_id)
    conditions = delivery_conditions(organization_id, where, HINTS)
    if is_by_events(where):
        event_ids = rows.to_json(sorted(_event_ids(db, organization_id, where)))
        conditions = Conditions(conditions.texts, {**conditions.values, "event_ids": event_ids})
    return fetch_page(db, _statement(where), conditions, page, rows.delivery, newest_first=True)


def _event_ids(db: apsw.Connection, organization_id: str, where: DeliveryFilter) -> set[str]:
    """Return the events that the filter means by their ids, subject and reference."""
    found = [set(where.event_ids)] if where.event_ids is not None else []
    for name, text in (("find_events_by_subject", where.subject), ("find_events_by_reference", where.reference)):
        if text is not None:
            values = (organization_id, text, MAX_EVENTS_OF_SUBJECT)
            found.append({row[0] for row in fetch_all(db, SQL[name], values)})
    return set.intersection(*found)


def _statement(where: DeliveryFilter) -> str:
    if is_by_events(where):
        return "list_deliveries_of_events"
    if uses_per_webhook_merge(where):
        of_one = where.webhook_id is not None
        return "list_deliveries_of_webhook_by_event_code" if of_one else "list_deliveries_by_event_code"
    if where.status is DeliveryStatus.SENDING and where.webhook_id is None and where.event_id is None:
        return "list_sending_deliveries"
    return "list_deliveries"


def summarize_attempts(
    db: apsw.Connection, organization_id: str, delivery_ids: Sequence[str], limit: int
) -> AttemptLog:
    """See Store.summarize_attempts."""
    values = (organization_id, rows.to_json(list(delivery_ids)), limit)
    attempts = fetch_all(db, SQL["summarize_attempts"], values)
    interruptions = fetch_all(db, SQL["find_interruptions"], values)
    return rows.attempt_log(attempts, interruptions)


def retry_delivery(
    db: apsw.Connection, organization_id: str, delivery_id: str, now: int, entry: AuditEntry
) -> Delivery:
    """See Store.retry_delivery."""
    delivery, rowid = _find_delivery(db, organization_id, delivery_id)
    if delivery.status is DeliveryStatus.SENDING:
        raise Conflict(BEING_SENT)
    if fetch_one(db, SQL["get_webhook"], (organization_id, delivery.webhook_id)) is None:
        raise Conflict("the webhook of this delivery was deleted")
    if get_event(db, organization_id, delivery.event_id)[0].erased_at is not None:
        raise Conflict(WAS_ERASED)
    db.execute(SQL["retry_delivery"], (now, rowid))
    write_audit(db, entry)
    db.execute(SQL["lower_lane_due_at"], (delivery.webhook_id, organization_id, now))
    return _find_delivery(db, organization_id, delivery_id)[0]
