"""Reading back: events, deliveries, attempts, and sending one delivery again."""

from typing import Any

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import FINISHED, Attempt, Delivery, Event, Interruption
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.pagination import between, is_merged
from packhook.store.postgres.asking import SQL, Db, page_of, sayable
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.tenants import get_organization


async def get_event(db: Db, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
    """See Store.get_event."""
    await get_organization(db, organization_id)
    row = await db.first(SQL["get_event"], organization_id, event_id) if sayable(event_id) else None
    if row is None:
        raise NotFound(f"no event {event_id!r}")
    deliveries = await db.all(SQL["event_deliveries"], event_id, organization_id)
    return rows.event(row), tuple(rows.delivery(found) for found in deliveries)


async def list_events(db: Db, organization_id: str, page: PageRequest) -> Page[Event]:
    """See Store.list_events."""
    await get_organization(db, organization_id)
    return await page_of(
        db,
        SQL["list_events"],
        ["organization_id = :organization_id"],
        {"organization_id": organization_id},
        page,
        newest_first=True,
        read=rows.event,
    )


async def get_delivery(db: Db, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
    """See Store.get_delivery."""
    await get_organization(db, organization_id)
    row = await db.first(SQL["get_delivery"], organization_id, delivery_id) if sayable(delivery_id) else None
    if row is None:
        raise NotFound(f"no delivery {delivery_id!r}")
    attempts = await db.all(SQL["delivery_attempts"], delivery_id)
    return rows.delivery(row), tuple(rows.attempt(found) for found in attempts)


async def interruptions(db: Db, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
    """See Store.interruptions."""
    if not sayable(organization_id, delivery_id):
        return ()
    found = await db.all(SQL["delivery_interruptions"], organization_id, delivery_id)
    return tuple(rows.interruption(row) for row in found)


async def list_deliveries(db: Db, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
    """See Store.list_deliveries."""
    await get_organization(db, organization_id)
    conditions, values = _conditions(organization_id, where)
    statement = SQL["list_deliveries_of_code"] if is_merged(where) else SQL["list_deliveries"]
    return await page_of(db, statement, conditions, values, page, newest_first=True, read=rows.delivery)


def _conditions(organization_id: str, where: DeliveryFilter) -> tuple[list[str], dict[str, Any]]:
    """The narrowest index is chosen here: an empty text at its end keeps PostgreSQL from the organization's."""
    narrow = where.webhook_id is not None or where.event_id is not None or is_merged(where)
    wanted = {
        "organization_id || '' = :organization_id" if narrow else "organization_id = :organization_id": organization_id,
        "webhook_id = :webhook_id": where.webhook_id,
        "event_id = :event_id": where.event_id,
        "event_code = :event_code": where.event_code,
        **between(where),
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    conditions = list(given)
    if where.status is not None:
        conditions.append(rows.STATUS_CONDITIONS[where.status])
    return conditions, {condition.rsplit(":", 1)[1]: value for condition, value in given.items()}


async def replay_delivery(db: Db, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
    """See Store.replay_delivery."""
    delivery, _ = await get_delivery(db, organization_id, delivery_id)
    if delivery.status not in FINISHED:
        raise _still_live(delivery)
    if await db.first(SQL["get_webhook"], organization_id, delivery.webhook_id) is None:
        raise Conflict("the webhook of this delivery was deleted")
    row = await db.first(SQL["replay_delivery"], now, organization_id, delivery_id)
    if row is None:  # somebody was faster
        raise _still_live((await get_delivery(db, organization_id, delivery_id))[0])
    await write_audit(db, entry)
    await db.all(SQL["lower_lane"], [delivery.webhook_id], [organization_id], [now])
    return rows.delivery(row)


def _still_live(delivery: Delivery) -> Conflict:
    return Conflict(f"the delivery is {delivery.status.value}: it is still being delivered by its schedule")
