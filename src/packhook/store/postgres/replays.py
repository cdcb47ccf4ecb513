"""Match, create and drive replays."""

from collections.abc import Sequence
from typing import Final

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
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.operational_events import write_operational_events
from packhook.store.postgres.organizations import get_organization, lock_organization
from packhook.store.postgres.queries import SQL, Db, fetch_page, has_no_nul, replace_nul, to_arrays
from packhook.store.postgres.webhooks import get_webhook
from packhook.store.replay_steps import (
    DISCARDED_CHUNKS,
    EXAMINED_ROWS,
    SCAN_ROWS,
    Chunk,
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

_SCANS: Final = {
    Source.FAILED_DELIVERIES: SQL["scan_failed_deliveries"],
    Source.DELIVERED_DELIVERIES: SQL["scan_delivered_deliveries"],
    Source.EVENTS: SQL["scan_events"],
    Source.EVENTS_OF_SUBJECT: SQL["scan_events_of_subject"],
}

# --- match


async def selector(db: Db, query: ReplayQuery) -> Selector:
    """Return what chooses the events of a replay. Raises NotFound."""
    known = has_no_nul(query.organization_id, query.webhook_id)
    row = await db.fetch_one(SQL["find_subscription"], query.organization_id, query.webhook_id) if known else None
    if row is None:
        raise NotFound(f"no webhook {query.webhook_id!r}")
    return Selector(query, rows.subscription(row))


async def scan_slice(db: Db, query: ReplayQuery, scan: Scan) -> list[Candidate]:
    """Return the next candidates."""
    values = [query.webhook_id, scan.before, scan.first, SCAN_ROWS]
    if scan.source in (Source.EVENTS, Source.EVENTS_OF_SUBJECT):
        values.append(query.organization_id)
    if scan.source is Source.EVENTS_OF_SUBJECT:
        if not has_no_nul(query.subject):
            return []
        values.append(query.subject)
    return list(map(candidate, await db.fetch_all(_SCANS[scan.source], *values)))


async def read_events(db: Db, query: ReplayQuery, event_ids: Sequence[str]) -> list[Event]:
    """Return these events of the replay's organization."""
    values = list(event_ids), query.organization_id
    return list(map(rows.EVENTS.read, await db.fetch_all(SQL["read_events"], *values)))


# --- create, read, change


async def prepare(db: Db, organization_id: str, limit: int) -> None:
    """See ReplayStore.prepare."""
    (count,) = (await db.fetch_all(SQL["count_unfinished_replays"], organization_id))[0]
    if count >= limit:
        raise Conflict(f"an organization may have {limit} unfinished replays: wait for one, or cancel one")


async def add_events(db: Db, replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int) -> None:
    """See ReplayStore.add_events."""
    await db.fetch_all(SQL["insert_replay_chunk"], *to_arrays(chunk_values(replay_id, number, chunks, now), 4))


async def discard_events(db: Db, replay_id: str) -> int:
    """Delete the next chunks of a replay, and return how many."""
    return len(await db.fetch_all(SQL["delete_replay_chunks"], replay_id, DISCARDED_CHUNKS))


async def create(db: Db, replay: Replay, entry: AuditEntry, limit: int) -> None:
    """See ReplayStore.create. The lock makes others that create one wait."""
    await lock_organization(db, replay.organization_id)
    await prepare(db, replay.organization_id, limit)
    await get_webhook(db, replay.organization_id, replay.webhook_id)
    await db.fetch_all(SQL["insert_replay"], *replace_nul(rows.REPLAYS.values(replay)), replay.created_at)
    await write_audit(db, entry)


async def get(db: Db, organization_id: str, replay_id: str) -> Replay:
    """See ReplayStore.get."""
    await get_organization(db, organization_id)
    row = await db.fetch_one(SQL["get_replay"], organization_id, replay_id) if has_no_nul(replay_id) else None
    if row is None:
        raise NotFound(f"no replay {replay_id!r}")
    return rows.REPLAYS.read(row)


async def list_replays(db: Db, organization_id: str, page: PageRequest, where: ReplayFilter) -> Page[Replay]:
    """See ReplayStore.list."""
    await get_organization(db, organization_id)
    conditions = replay_conditions(organization_id, where)
    return await fetch_page(db, "list_replays", conditions, page, rows.REPLAYS.read, newest_first=True)


async def change(
    db: Db, organization_id: str, replay_id: str, status: ReplayStatus, now: int, entry: AuditEntry
) -> Replay:
    """See ReplayStore.change."""
    before = await get(db, organization_id, replay_id)
    require_change(before, status)
    finished_at = None if status in UNFINISHED else now
    row = await db.fetch_one(
        SQL["set_replay_status"], status.value, finished_at, now, organization_id, replay_id, before.status.value
    )
    if row is None:  # another request, or the last step, was faster
        raise Conflict("the replay was changed by somebody else at the same time")
    await write_audit(db, entry)
    return rows.REPLAYS.read(row)


# --- drive


async def advance(db: Db, now: int, chunks: int) -> ReplayStep | None:
    """See ReplayStore.advance."""
    row = await db.fetch_one(SQL["next_due_replay"], now)
    if row is None:
        return None
    before = rows.REPLAYS.read(row)
    *_, examined, stalled_steps = row
    replay, examined = await _count_finished(db, before, examined)
    if replay.status is ReplayStatus.RUNNING:
        replay = await _queue_chunks(db, replay, now, chunks)
    elif replay.status is ReplayStatus.CANCELED:
        await discard_events(db, replay.id)
    has_events = await db.fetch_one(SQL["next_replay_chunk"], replay.id, 1) is not None
    has_deliveries = await db.fetch_one(SQL["has_replay_deliveries"], replay.id) is not None
    if replay.status is ReplayStatus.RUNNING and not has_events and not has_deliveries:
        replay = await finish(db, replay, now)
    else:
        step = next_step(before, replay, stalled_steps, now, has_events=has_events, has_deliveries=has_deliveries)
        await db.fetch_all(SQL["save_replay_step"], *step_values(replay, examined, step))
    return ReplayStep(replay=replay, queued=replay.queued - before.queued)


async def finish(db: Db, replay: Replay, now: int) -> Replay:
    """Save a replay as finished, once: it has nothing left to queue, and all its deliveries are finished."""
    done = msgspec.structs.replace(replay, status=ReplayStatus.FINISHED, finished_at=now)
    await db.fetch_all(SQL["save_replay_step"], *step_values(done, -1, NO_STEP))
    await write_operational_events(db, [replay_finished_event(done, now)])
    return done


async def _count_finished(db: Db, replay: Replay, examined: int) -> tuple[Replay, int]:
    values = (replay.organization_id, replay.id, examined, EXAMINED_ROWS)
    counted = count_finished(replay, await db.fetch_all(SQL["examine_replay_deliveries"], *values))
    if counted.positions:
        await db.fetch_all(SQL["delete_replay_delivery"], replay.id, list(counted.positions))
    return counted.replay, counted.examined


async def _queue_chunks(db: Db, replay: Replay, now: int, most: int) -> Replay:
    """Queue the next events, unless enough are waiting, or retention is deleting events at this moment."""
    (waiting,) = (
        await db.fetch_all(SQL["count_waiting_replays"], replay.webhook_id, now + WAITING_WITHIN, MAX_WAITING)
    )[0]
    chunks = await db.fetch_all(SQL["next_replay_chunk"], replay.id, chunks_beside(waiting, most))
    if not chunks:
        return replay
    locked = await db.fetch_one(SQL["lock_retention_shared"])
    if locked is None or not locked[0]:
        return replay
    await db.fetch_all(SQL["lock_replays_of_webhook"], replay.webhook_id)
    event_ids = [event_id for _, text in chunks for event_id in chunk_events(text)]
    found = await db.fetch_all(SQL["list_chunk_events"], event_ids, replay.organization_id, replay.webhook_id)
    chunk = chunk_of(event_ids, found)
    await _write_chunk(db, replay, chunk, now)
    await db.fetch_all(SQL["delete_replay_chunks"], replay.id, len(chunks))
    await db.fetch_all(SQL["lower_lane_due_at"], [replay.webhook_id], [replay.organization_id], [now])
    return msgspec.structs.replace(
        replay, queued=replay.queued + len(event_ids), failed=replay.failed + len(event_ids) - len(chunk.deliveries)
    )


async def _write_chunk(db: Db, replay: Replay, chunk: Chunk, now: int) -> None:
    """Make the deliveries of a chunk due, and those that are missing. One that is live by now stays as it is."""
    if chunk.finished:
        delivery_ids = sorted(row[3] for row in chunk.finished)
        await db.fetch_all(SQL["retry_deliveries"], now, replay.organization_id, delivery_ids)
    if chunk.missing:
        missing = [(delivery_id, *row[:3]) for delivery_id, row in chunk.missing]
        await db.fetch_all(
            SQL["insert_missing_delivery"], replay.organization_id, replay.webhook_id, now, *to_arrays(missing, 4)
        )
    positions = list(range(replay.queued, replay.queued + len(chunk.deliveries)))
    await db.fetch_all(SQL["insert_replay_delivery"], replay.id, positions, list(chunk.deliveries))


async def delete_old(db: Db, finished_before: int, stored_before: int, limit: int) -> int:
    """Delete replays that ended long ago, and chunks of replays that were never created; return how many rows."""
    deleted = len(await db.fetch_all(SQL["delete_finished_replays"], finished_before, limit))
    orphan = await db.fetch_one(SQL["list_orphan_chunks"], stored_before)
    return deleted + (0 if orphan is None else await discard_events(db, orphan[0]))
