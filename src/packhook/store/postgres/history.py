"""Read events, deliveries and attempts back; retry a delivery."""

from collections.abc import Collection, Sequence

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Attempt, Delivery, Event, Interruption
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
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.organizations import get_organization
from packhook.store.postgres.queries import HINTS, SQL, Db, fetch_page, has_no_nul
from packhook.store.timeline import ANY_EVENT, MAX_EVENTS_OF_SUBJECT, AttemptLog, EventFilter


async def get_event(db: Db, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
    """See Store.get_event."""
    await get_organization(db, organization_id)
    row = await db.fetch_one(SQL["get_event"], organization_id, event_id) if has_no_nul(event_id) else None
    if row is None:
        raise NotFound(f"no event {event_id!r}")
    deliveries = await db.fetch_all(SQL["event_deliveries"], event_id, organization_id)
    return rows.EVENTS.read(row), tuple(map(rows.delivery, deliveries))


async def list_events(db: Db, organization_id: str, page: PageRequest, where: EventFilter = ANY_EVENT) -> Page[Event]:
    """See Store.list_events."""
    await get_organization(db, organization_id)
    name = "list_events" if where.reference is None else "list_events_by_reference"
    conditions = event_conditions(organization_id, where, HINTS)
    return await fetch_page(db, name, conditions, page, rows.EVENTS.read, newest_first=True)


async def subjects_of(db: Db, organization_id: str, reference: str) -> tuple[str, ...]:
    """See Store.subjects_of."""
    await get_organization(db, organization_id)
    found = await _find_events(db, "find_events_by_reference", organization_id, reference)
    return tuple(dict.fromkeys(row[1] for row in found if row[1]))


async def _find_events(db: Db, name: str, organization_id: str, text: str) -> list[rows.Row]:
    if not has_no_nul(text):
        return []
    return await db.fetch_all(SQL[name], organization_id, text, MAX_EVENTS_OF_SUBJECT)


async def get_delivery(db: Db, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
    """See Store.get_delivery."""
    delivery = await _find_delivery(db, organization_id, delivery_id)
    attempts = await db.fetch_all(SQL["delivery_attempts"], delivery_id)
    return delivery, tuple(map(rows.ATTEMPTS.read, reversed(attempts)))


async def _find_delivery(db: Db, organization_id: str, delivery_id: str) -> Delivery:
    await get_organization(db, organization_id)
    known = has_no_nul(delivery_id)
    row = await db.fetch_one(SQL["get_delivery"], organization_id, delivery_id) if known else None
    if row is None:
        raise NotFound(f"no delivery {delivery_id!r}")
    return rows.delivery(row)


async def interruptions(db: Db, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
    """See Store.interruptions."""
    if not has_no_nul(organization_id, delivery_id):
        return ()
    found = await db.fetch_all(SQL["delivery_interruptions"], organization_id, delivery_id)
    return tuple(map(rows.INTERRUPTIONS.read, found))


async def list_deliveries(db: Db, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
    """See Store.list_deliveries."""
    await get_organization(db, organization_id)
    conditions = delivery_conditions(organization_id, where, HINTS)
    name = "list_deliveries"
    if uses_per_webhook_merge(where):
        of_one = where.webhook_id is not None
        name = "list_deliveries_of_webhook_by_event_code" if of_one else "list_deliveries_by_event_code"
    elif is_by_events(where):
        name = "list_deliveries_of_events"
        event_ids = sorted(await _event_ids(db, organization_id, where))
        conditions = Conditions(conditions.texts, {**conditions.values, "event_ids": event_ids})
    return await fetch_page(db, name, conditions, page, rows.delivery, newest_first=True)


async def _event_ids(db: Db, organization_id: str, where: DeliveryFilter) -> set[str]:
    """Return the events that the filter means by their ids, subject and reference."""
    found = [set(where.event_ids)] if where.event_ids is not None else []
    for name, text in (("find_events_by_subject", where.subject), ("find_events_by_reference", where.reference)):
        if text is not None:
            found.append({row[0] for row in await _find_events(db, name, organization_id, text)})
    return set.intersection(*found)


async def summarize_attempts(db: Db, organization_id: str, delivery_ids: Sequence[str], limit: int) -> AttemptLog:
    """See Store.summarize_attempts."""
    values = (organization_id, list(delivery_ids), limit)
    attempts = await db.fetch_all(SQL["summarize_attempts"], *values)
    interruptions = await db.fetch_all(SQL["find_interruptions"], *values)
    return rows.attempt_log(attempts, interruptions)


async def retry_delivery(
    db: Db, organization_id: str, delivery_id: str, now: int, entry: AuditEntry
) -> tuple[Delivery, Collection[str]]:
    """See Store.retry_delivery; return also its webhook, as changed: every node sends to it again."""
    delivery = await _find_delivery(db, organization_id, delivery_id)
    if await db.fetch_one(SQL["get_webhook"], organization_id, delivery.webhook_id) is None:
        raise Conflict("the webhook of this delivery was deleted")
    row = await db.fetch_one(SQL["retry_delivery"], now, organization_id, delivery_id)
    if row is None:
        raise Conflict(BEING_SENT)
    event = await db.fetch_one(SQL["lock_event"], organization_id, delivery.event_id)
    if event is not None and event[0] is not None:
        raise Conflict(WAS_ERASED)
    await write_audit(db, entry)
    await db.fetch_all(SQL["lower_lane_due_at"], [delivery.webhook_id], [organization_id], [now])
    return rows.delivery(row), (delivery.webhook_id,)
