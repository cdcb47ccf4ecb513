"""Reading back: events, deliveries, attempts, and sending one delivery again."""

from typing import Any

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import FINISHED, Attempt, Delivery, DeliveryStatus, Event, Interruption
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.pagination import between, is_merged, list_page
from packhook.store.sqlite.asking import SQL, fetcher, first
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.tenants import require_organization


def get_event(db: apsw.Connection, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
    """See Store.get_event."""
    require_organization(db, organization_id)
    found = first(db, SQL["find_event"], (organization_id, event_id))
    row = first(db, SQL["get_event"], (found[0], organization_id, event_id)) if found else None
    if row is None:
        raise NotFound(f"no event {event_id!r}")
    deliveries = db.execute(SQL["event_deliveries"], (event_id, organization_id))
    return rows.event(row), tuple(rows.delivery(found) for found in deliveries)


def list_events(db: apsw.Connection, organization_id: str, page: PageRequest) -> Page[Event]:
    """See Store.list_events."""
    require_organization(db, organization_id)
    return list_page(
        SQL["list_events"],
        ["organization_id = :organization_id"],
        {"organization_id": organization_id},
        page,
        newest_first=True,
        fetch=fetcher(db),
        read=rows.event,
    )


def get_delivery(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
    """See Store.get_delivery."""
    _, delivery = _find_delivery(db, organization_id, delivery_id)
    attempts = db.execute(SQL["delivery_attempts"], (delivery_id,))
    return delivery, tuple(rows.attempt(found) for found in attempts)


def _find_delivery(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[int, Delivery]:
    """A delivery and its number. Raises NotFound."""
    require_organization(db, organization_id)
    found = first(db, SQL["find_delivery"], (organization_id, delivery_id))
    row = first(db, SQL["get_delivery"], (found[0], organization_id, delivery_id)) if found else None
    if found is None or row is None:
        raise NotFound(f"no delivery {delivery_id!r}")
    return found[0], rows.delivery(row)


def interruptions(db: apsw.Connection, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
    """See Store.interruptions."""
    if first(db, SQL["find_delivery"], (organization_id, delivery_id)) is None:
        return ()
    return tuple(rows.interruption(row) for row in db.execute(SQL["delivery_interruptions"], (delivery_id,)))


def list_deliveries(
    db: apsw.Connection, organization_id: str, page: PageRequest, where: DeliveryFilter
) -> Page[Delivery]:
    """See Store.list_deliveries."""
    require_organization(db, organization_id)
    conditions, values = _conditions(organization_id, where)
    statement = _listing(where)
    return list_page(statement, conditions, values, page, newest_first=True, fetch=fetcher(db), read=rows.delivery)


def _listing(where: DeliveryFilter) -> str:
    failed = where.status is DeliveryStatus.EXHAUSTED
    if is_merged(where):
        return SQL["list_exhausted_of_code"] if failed else SQL["list_deliveries_of_code"]
    if where.status is DeliveryStatus.SENDING and not _is_narrow(where):
        return SQL["list_sending_deliveries"]
    if where.event_id is not None or failed:
        return SQL["list_deliveries"]
    if where.webhook_id is not None or where.status in {None, DeliveryStatus.DELIVERED}:
        return SQL["list_filed_deliveries"]  # the index that is walked is written late
    return SQL["list_deliveries"]


def _is_narrow(where: DeliveryFilter) -> bool:
    """Whether another index than the organization's has less to walk."""
    return where.webhook_id is not None or where.event_id is not None or is_merged(where)


def _conditions(organization_id: str, where: DeliveryFilter) -> tuple[list[str], dict[str, Any]]:
    """The narrowest index is chosen here: a unary plus keeps SQLite from using the organization's instead."""
    narrow = _is_narrow(where)
    wanted = {
        f"{'+' if narrow else ''}organization_id = :organization_id": organization_id,
        "webhook_id = :webhook_id": where.webhook_id,
        "event_id = :event_id": where.event_id,
        "event_code = :event_code": where.event_code,
        **between(where),
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    conditions = list(given)
    if where.status is not None:
        conditions.append(f"status = '{where.status.value}'")
        if where.status is DeliveryStatus.PENDING and not narrow:
            conditions.append("claimable_at IS NOT NULL")
    return conditions, {condition.rsplit(":", 1)[1]: value for condition, value in given.items()}


def replay_delivery(db: apsw.Connection, item: tuple[str, str, int, AuditEntry]) -> Delivery:
    """See Store.replay_delivery."""
    organization_id, delivery_id, now, entry = item
    number, delivery = _find_delivery(db, organization_id, delivery_id)
    if delivery.status not in FINISHED:
        raise Conflict(f"the delivery is {delivery.status.value}: it is still being delivered by its schedule")
    if first(db, SQL["get_webhook"], (organization_id, delivery.webhook_id)) is None:
        raise Conflict("the webhook of this delivery was deleted")
    db.execute(SQL["replay_delivery"], (now, number))
    write_audit(db, entry)
    db.execute(SQL["lower_lane"], (delivery.webhook_id, organization_id, now))
    return get_delivery(db, organization_id, delivery_id)[0]
