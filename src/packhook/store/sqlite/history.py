"""Read events, deliveries and attempts back; retry a delivery."""

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Attempt, Delivery, DeliveryStatus, Event, Interruption
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.filters import delivery_conditions, event_conditions, uses_per_webhook_merge
from packhook.store.leasing import BEING_SENT
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import HINTS, SQL, fetch_all, fetch_one, fetch_page


def get_event(db: apsw.Connection, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
    """See Store.get_event."""
    require_organization(db, organization_id)
    row = fetch_one(db, SQL["get_event"], (organization_id, event_id))
    if row is None:
        raise NotFound(f"no event {event_id!r}")
    deliveries = fetch_all(db, SQL["event_deliveries"], (event_id, organization_id))
    return rows.EVENTS.read(row), tuple(map(rows.delivery, deliveries))


def list_events(db: apsw.Connection, organization_id: str, page: PageRequest) -> Page[Event]:
    """See Store.list_events."""
    require_organization(db, organization_id)
    return fetch_page(db, "list_events", event_conditions(organization_id), page, rows.EVENTS.read, newest_first=True)


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
    return fetch_page(db, _statement(where), conditions, page, rows.delivery, newest_first=True)


def _statement(where: DeliveryFilter) -> str:
    if uses_per_webhook_merge(where):
        return "list_deliveries_by_event_code"
    if where.status is DeliveryStatus.SENDING and where.webhook_id is None and where.event_id is None:
        return "list_sending_deliveries"
    return "list_deliveries"


def retry_delivery(
    db: apsw.Connection, organization_id: str, delivery_id: str, now: int, entry: AuditEntry
) -> Delivery:
    """See Store.retry_delivery."""
    delivery, rowid = _find_delivery(db, organization_id, delivery_id)
    if delivery.status is DeliveryStatus.SENDING:
        raise Conflict(BEING_SENT)
    if fetch_one(db, SQL["get_webhook"], (organization_id, delivery.webhook_id)) is None:
        raise Conflict("the webhook of this delivery was deleted")
    db.execute(SQL["retry_delivery"], (now, rowid))
    write_audit(db, entry)
    db.execute(SQL["lower_lane_due_at"], (delivery.webhook_id, organization_id, now))
    return _find_delivery(db, organization_id, delivery_id)[0]
