"""Match, create and drive replays."""

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from packhook.core.audit import AuditEntry
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import Event
from packhook.core.operational_events import replay_finished_event
from packhook.core.replay import (
    MAX_WAITING,
    NO_STEP,
    UNFINISHED,
    WAITING_WITHIN,
    Candidate,
    Replay,
    ReplayQuery,
    ReplayStatus,
    Selector,
    next_step,
    require_change,
)
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import replay_conditions
from packhook.store.replay_steps import (
    DISCARDED_CHUNKS,
    EXAMINED_ROWS,
    SCAN_ROWS,
    Scan,
    Source,
    candidate,
    chunk_events,
    chunk_of,
    chunk_values,
    chunks_beside,
    count_finished,
    step_values,
)
from packhook.store.replays import ReplayFilter, ReplayStep
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.operational_events import write_operational_events
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one, fetch_page
from packhook.store.sqlite.webhooks import get_webhook

_SCANS: Final = {
    Source.FAILED_DELIVERIES: SQL["scan_failed_deliveries"],
    Source.DELIVERED_DELIVERIES: SQL["scan_delivered_deliveries"],
    Source.EVENTS: SQL["scan_events"],
    Source.EVENTS_OF_SUBJECT: SQL["scan_events_of_subject"],
}

# --- match


def begin_scan(db: apsw.Connection, query: ReplayQuery) -> Selector:
    """Begin a read transaction, whose snapshot the slices see; return what chooses. Raises NotFound."""
    db.execute("BEGIN")
    row = fetch_one(db, SQL["find_subscription"], (query.organization_id, query.webhook_id))
    if row is None:
        raise NotFound(f"no webhook {query.webhook_id!r}")
    return Selector(query, rows.subscription(row))


def scan_slice(db: apsw.Connection, query: ReplayQuery, scan: Scan) -> list[Candidate]:
    """Return the next candidates."""
    values = {
        "organization_id": query.organization_id,
        "webhook_id": query.webhook_id,
        "subject": query.subject,
        "before": scan.before,
        "first": scan.first,
        "limit": SCAN_ROWS,
    }
    return list(map(candidate, fetch_all(db, _SCANS[scan.source], values)))


def read_events(db: apsw.Connection, query: ReplayQuery, event_ids: Sequence[str]) -> list[Event]:
    """Return these events of the replay's organization."""
    values = rows.to_json(list(event_ids)), query.organization_id
    return list(map(rows.EVENTS.read, fetch_all(db, SQL["read_events"], values)))


# --- create, read, change


def prepare(db: apsw.Connection, organization_id: str, limit: int) -> None:
    """See ReplayStore.prepare."""
    (count,) = fetch_all(db, SQL["count_unfinished_replays"], (organization_id,))[0]
    if count >= limit:
        raise Conflict(f"an organization may have {limit} unfinished replays: wait for one, or cancel one")


def add_events(db: apsw.Connection, replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int) -> None:
    """See ReplayStore.add_events."""
    db.executemany(SQL["insert_replay_chunk"], chunk_values(replay_id, number, chunks, now))


def discard_events(db: apsw.Connection, replay_id: str) -> int:
    """Delete the next chunks of a replay, and return how many."""
    db.execute(SQL["delete_replay_chunks"], (replay_id, DISCARDED_CHUNKS))
    return db.changes()


def create(db: apsw.Connection, replay: Replay, entry: AuditEntry, limit: int) -> None:
    """See ReplayStore.create."""
    prepare(db, replay.organization_id, limit)
    get_webhook(db, replay.organization_id, replay.webhook_id)
    db.execute(SQL["insert_replay"], (*rows.REPLAYS.values(replay), replay.created_at))
    write_audit(db, entry)


def get(db: apsw.Connection, organization_id: str, replay_id: str) -> Replay:
    """See ReplayStore.get."""
    require_organization(db, organization_id)
    row = fetch_one(db, SQL["get_replay"], (organization_id, replay_id))
    if row is None:
        raise NotFound(f"no replay {replay_id!r}")
    return rows.REPLAYS.read(row)


def list_replays(db: apsw.Connection, organization_id: str, page: PageRequest, where: ReplayFilter) -> Page[Replay]:
    """See ReplayStore.list."""
    require_organization(db, organization_id)
    conditions = replay_conditions(organization_id, where)
    return fetch_page(db, "list_replays", conditions, page, rows.REPLAYS.read, newest_first=True)


def change(
    db: apsw.Connection, organization_id: str, replay_id: str, status: ReplayStatus, now: int, entry: AuditEntry
) -> Replay:
    """See ReplayStore.change."""
    before = get(db, organization_id, replay_id)
    require_change(before, status)
    finished_at = None if status in UNFINISHED else now
    values = (status.value, finished_at, now, organization_id, replay_id, before.status.value)
    (row,) = fetch_all(db, SQL["set_replay_status"], values)
    write_audit(db, entry)
    return rows.REPLAYS.read(row)


# --- drive


def advance(db: Connection, now: int, chunks: int) -> ReplayStep | None:
    """See ReplayStore.advance."""
    row = fetch_one(db, SQL["next_due_replay"], (now,))
    if row is None:
        return None
    before = rows.REPLAYS.read(row)
    *_, examined, stalled_steps = row
    replay, examined = _count_finished(db, before, examined)
    if replay.status is ReplayStatus.RUNNING:
        replay = _queue_chunks(db, replay, now, chunks)
    elif replay.status is ReplayStatus.CANCELED:
        discard_events(db, replay.id)
    has_events = fetch_one(db, SQL["next_replay_chunk"], (replay.id, 1)) is not None
    has_deliveries = fetch_one(db, SQL["has_replay_deliveries"], (replay.id,)) is not None
    if replay.status is ReplayStatus.RUNNING and not has_events and not has_deliveries:
        replay = finish(db, replay, now)
    else:
        step = next_step(before, replay, stalled_steps, now, has_events=has_events, has_deliveries=has_deliveries)
        db.execute(SQL["save_replay_step"], step_values(replay, examined, step))
    return ReplayStep(replay=replay, queued=replay.queued - before.queued)


def finish(db: Connection, replay: Replay, now: int) -> Replay:
    """Save a replay as finished, once: it has nothing left to queue, and all its deliveries are finished."""
    done = msgspec.structs.replace(replay, status=ReplayStatus.FINISHED, finished_at=now)
    db.execute(SQL["save_replay_step"], step_values(done, -1, NO_STEP))
    write_operational_events(db, [replay_finished_event(done, now)])
    return done


def _count_finished(db: apsw.Connection, replay: Replay, examined: int) -> tuple[Replay, int]:
    values = (replay.organization_id, replay.id, examined, EXAMINED_ROWS)
    counted = count_finished(replay, fetch_all(db, SQL["examine_replay_deliveries"], values))
    db.executemany(SQL["delete_replay_delivery"], [(replay.id, position) for position in counted.positions])
    return counted.replay, counted.examined


def _queue_chunks(db: apsw.Connection, replay: Replay, now: int, most: int) -> Replay:
    """Queue the next events, unless enough are waiting."""
    (waiting,) = fetch_all(db, SQL["count_waiting_replays"], (replay.webhook_id, now + WAITING_WITHIN, MAX_WAITING))[0]
    chunks = fetch_all(db, SQL["next_replay_chunk"], (replay.id, chunks_beside(waiting, most)))
    if not chunks:
        return replay
    event_ids = [event_id for _, text in chunks for event_id in chunk_events(text)]
    found = fetch_all(
        db, SQL["list_chunk_events"], (rows.to_json(event_ids), replay.organization_id, replay.webhook_id)
    )
    chunk = chunk_of(event_ids, found)
    db.executemany(SQL["retry_delivery"], [(now, delivery_rowid) for *_, delivery_rowid in chunk.finished])
    db.executemany(
        SQL["insert_missing_delivery"],
        [
            (delivery_id, replay.organization_id, replay.webhook_id, event_id, event_code, created_at, now)
            for delivery_id, (event_id, event_code, created_at, *_) in chunk.missing
        ],
    )
    db.executemany(
        SQL["insert_replay_delivery"],
        [(replay.id, replay.queued + number, id_) for number, id_ in enumerate(chunk.deliveries)],
    )
    db.execute(SQL["delete_replay_chunks"], (replay.id, len(chunks)))
    db.execute(SQL["lower_lane_due_at"], (replay.webhook_id, replay.organization_id, now))
    return msgspec.structs.replace(
        replay, queued=replay.queued + len(event_ids), failed=replay.failed + len(event_ids) - len(chunk.deliveries)
    )


def delete_old(db: apsw.Connection, finished_before: int, stored_before: int, limit: int) -> int:
    """Delete replays that ended long ago, and chunks of replays that were never created; return how many rows."""
    db.execute(SQL["delete_finished_replays"], (finished_before, limit))
    deleted = db.changes()
    orphan = fetch_one(db, SQL["list_orphan_chunks"], (stored_before,))
    return deleted + (0 if orphan is None else discard_events(db, orphan[0]))
