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
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.queries import SQL, fetch_all


def write_operational_events(db: Connection, events: Sequence[Event]) -> None:
    """Write these events with their copies for the operator; their deliveries are made after the commit."""
    if not events:
        return
    written = map(rows.NEW_EVENTS.values, with_copies(events, db.store_config.operator_organization))
    db.executemany(SQL["insert_outbox"], list(db.executemany(SQL["insert_operational_event"], written)))
    db.outbox_filled = True
    db.wake_outbox()


def report_recorded(db: Connection, results: Sequence[AttemptResult], disabled: Collection[str]) -> None:
    """Write what follows from results that settled; these ``disabled`` webhooks were disabled by them."""
    if not results:
        return
    now = ended_at(results)
    recovered = _close_alerts(db, delivered_to(results), now)
    failing = _open_alerts(db, warned_of(results), now)
    write_operational_events(db, [*_exhausted(db, results), *recovered, *failing])
    report_disabled(db, disabled, now)


def report_warnings(db: Connection, now: int) -> None:
    """Write the second and third warnings that are due."""
    half, most = second_and_third_warning(db.store_config.disable_after)
    found = fetch_all(db, SQL["raise_alerts"], (half, most, MAX_WARNINGS_AT_ONCE))
    write_operational_events(db, _failing(db, [row[0] for row in found], now))


def report_disabled(db: Connection, webhook_ids: Collection[str], now: int) -> None:
    """Write that packhook disabled these webhooks."""
    if not webhook_ids:
        return
    facts = _facts(db, webhook_ids)
    db.executemany(SQL["disable_alerts"], [(webhook_id, now) for webhook_id in webhook_ids])
    write_operational_events(db, [disabled_event(item, now) for item in facts])


def _exhausted(db: Connection, results: Sequence[AttemptResult]) -> Sequence[Event]:
    exhausted = exhausted_of(results)
    events = [(result.delivery.organization_id, result.delivery.event_id) for result in exhausted]
    return exhausted_events(exhausted, dict(db.executemany(SQL["list_subjects"], events)))


def _close_alerts(db: Connection, webhook_ids: Collection[str], now: int) -> list[Event]:
    if not webhook_ids:
        return []
    since = {row[0]: row[1] for row in fetch_all(db, SQL["close_alerts"], (rows.to_json(list(webhook_ids)),))}
    return [
        recovered_event(structs.replace(facts, failing_since=since[facts.webhook_id]), now)
        for facts in _facts(db, since)
    ]


def _open_alerts(db: Connection, webhook_ids: Collection[str], now: int) -> list[Event]:
    if not webhook_ids:
        return []
    found = fetch_all(db, SQL["open_alerts"], (rows.to_json(list(webhook_ids)), FAILURES_BEFORE_WARNING))
    return _failing(db, [row[0] for row in found], now)


def _failing(db: Connection, webhook_ids: Collection[str], now: int) -> list[Event]:
    return [failing_event(facts, db.store_config.disable_after, now) for facts in _facts(db, webhook_ids)]


def _facts(db: Connection, webhook_ids: Collection[str]) -> list[WebhookFacts]:
    if not webhook_ids:
        return []
    found = fetch_all(db, SQL["webhook_facts"], (rows.to_json(list(webhook_ids)),))
    return [WebhookFacts(*row) for row in found]
