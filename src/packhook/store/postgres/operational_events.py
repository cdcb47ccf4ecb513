"""Write operational events in the transaction of the change that they report; the outbox fans them out."""

from collections.abc import Collection, Sequence

from msgspec import structs

from packhook.core.model import AttemptResult, Event
from packhook.core.operational_events import (
    FAILURES_BEFORE_WARNING,
    MAX_WARNINGS_AT_ONCE,
    WebhookFacts,
    delivered_to,
    disabled_event,
    ended_at,
    exhausted_events,
    exhausted_of,
    failing_event,
    recovered_event,
    second_and_third_warning,
    warned_of,
    with_copies,
)
from packhook.store import rows
from packhook.store.postgres.notifications import notify_published
from packhook.store.postgres.queries import SQL, Db, to_arrays


async def write_operational_events(db: Db, events: Sequence[Event]) -> None:
    """Write these events with their copies for the operator; their deliveries are made after the commit."""
    if not events:
        return
    written = with_copies(events, db.config.operator_organization)
    columns = to_arrays(map(rows.NEW_EVENTS.values, written), len(rows.NEW_EVENTS.columns))
    await db.fetch_all(SQL["insert_operational_events"], *columns)
    await notify_published(db)


async def report_recorded(db: Db, results: Sequence[AttemptResult], disabled: Collection[str]) -> None:
    """Write what follows from results that settled; these ``disabled`` webhooks were disabled by them."""
    if not results:
        return
    now = ended_at(results)
    recovered = await _close_alerts(db, delivered_to(results), now)
    failing = await _open_alerts(db, warned_of(results), now)
    await write_operational_events(db, [*await _exhausted(db, results), *recovered, *failing])
    await report_disabled(db, disabled, now)


async def report_warnings(db: Db, now: int) -> None:
    """Write the second and third warnings that are due."""
    half, most = second_and_third_warning(db.config.disable_after)
    found = await db.fetch_all(SQL["raise_alerts"], half, most, MAX_WARNINGS_AT_ONCE)
    await write_operational_events(db, await _failing(db, [row[0] for row in found], now))


async def report_disabled(db: Db, webhook_ids: Collection[str], now: int) -> None:
    """Write that packhook disabled these webhooks."""
    if not webhook_ids:
        return
    facts = await _facts(db, webhook_ids)
    await db.fetch_all(SQL["disable_alerts"], sorted(webhook_ids), now)
    await write_operational_events(db, [disabled_event(item, now) for item in facts])


async def _exhausted(db: Db, results: Sequence[AttemptResult]) -> Sequence[Event]:
    exhausted = exhausted_of(results)
    if not exhausted:
        return ()
    events = [(result.delivery.organization_id, result.delivery.event_id) for result in exhausted]
    found = await db.fetch_all(SQL["list_subjects"], *to_arrays(events, 2))
    return exhausted_events(exhausted, dict(map(tuple, found)))


async def _close_alerts(db: Db, webhook_ids: Collection[str], now: int) -> list[Event]:
    if not webhook_ids:
        return []
    since = {row[0]: row[1] for row in await db.fetch_all(SQL["close_alerts"], sorted(webhook_ids))}
    return [
        recovered_event(structs.replace(facts, failing_since=since[facts.webhook_id]), now)
        for facts in await _facts(db, since)
    ]


async def _open_alerts(db: Db, webhook_ids: Collection[str], now: int) -> list[Event]:
    if not webhook_ids:
        return []
    found = await db.fetch_all(SQL["open_alerts"], sorted(webhook_ids), FAILURES_BEFORE_WARNING)
    return await _failing(db, [row[0] for row in found], now)


async def _failing(db: Db, webhook_ids: Collection[str], now: int) -> list[Event]:
    return [failing_event(facts, db.config.disable_after, now) for facts in await _facts(db, webhook_ids)]


async def _facts(db: Db, webhook_ids: Collection[str]) -> list[WebhookFacts]:
    if not webhook_ids:
        return []
    return [WebhookFacts(*row) for row in await db.fetch_all(SQL["webhook_facts"], sorted(webhook_ids))]
