"""Share what both dialects need to match and drive replays: the slices of a scan, and what the next chunk becomes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from packhook.core import ids
from packhook.core.model import FINISHED, DeliveryStatus, Event
from packhook.core.replay import (
    EVENTS_OF_A_CHUNK,
    MAX_WAITING,
    Candidate,
    MatchedSlice,
    NextStep,
    Replay,
    ReplayQuery,
    Selection,
    Selector,
)
from packhook.store.filters import MAX_ID_CLOCK_SKEW
from packhook.store.rows import Row

SCAN_ROWS: Final = 500
"""How many candidates one statement of a scan reads."""

READ_EVENTS: Final = 20
"""How many events are read at once for a filter, with their data of up to 256 KiB."""

EXAMINED_ROWS: Final = 1_000
"""How many deliveries one step looks at to see whether they are finished."""

DISCARDED_CHUNKS: Final = 50
"""How many chunks one statement deletes."""

_LAST: Final = "g"  # sorts after every hexadecimal digit


class Source(StrEnum):
    """Name where the candidates of a scan come from."""

    FAILED_DELIVERIES = "failed deliveries"
    DELIVERED_DELIVERIES = "delivered deliveries"
    EVENTS = "events"
    EVENTS_OF_SUBJECT = "events of a subject"


class Scan(Struct, frozen=True):
    """Say which candidates are read next: those with ``first`` <= position < ``before``."""

    source: Source
    first: str
    before: str

    def after(self, candidates: Sequence[Candidate]) -> "Scan | None":
        """Return the scan of what remains after a slice; None after the last one."""
        if len(candidates) < SCAN_ROWS:
            return None
        return msgspec.structs.replace(self, before=candidates[-1].position)


def scan_of(query: ReplayQuery) -> Scan:
    """Return how the candidates of a replay are read: by deliveries if there must be one, otherwise by events."""
    source = _source(query)
    by_event = source in (Source.EVENTS, Source.EVENTS_OF_SUBJECT)
    bound = ids.event_id_lower_bound if by_event else ids.delivery_id_lower_bound
    until = query.until
    return Scan(
        source,
        bound(query.since - MAX_ID_CLOCK_SKEW),
        f"{bound(0)[:4]}{_LAST}" if until is None else bound(until + MAX_ID_CLOCK_SKEW),
    )


def _source(query: ReplayQuery) -> Source:
    if query.subject:
        return Source.EVENTS_OF_SUBJECT
    if query.selection is Selection.FAILED:
        return Source.FAILED_DELIVERIES
    return Source.DELIVERED_DELIVERIES if query.selection is Selection.DELIVERED else Source.EVENTS


def candidate(row: Row) -> Candidate:
    """Return a candidate from the columns of a scan."""
    position, event_id, event_code, created_at, subject, status, is_erased = row
    known = None if status is None else DeliveryStatus(status)
    return Candidate(position, event_id, event_code, created_at, subject, known, bool(is_erased))


async def choose(
    selector: Selector,
    scan: Scan,
    candidates: Sequence[Candidate],
    read: Callable[[Sequence[str]], Awaitable[Sequence[Event]]],
) -> MatchedSlice:
    """Return which candidates of a scan a replay takes; ``read`` returns the events that a filter has to look at."""
    unread = selector.unread(candidates)
    for start in range(0, len(unread), READ_EVENTS):
        for event in await read(unread[start : start + READ_EVENTS]):
            selector.judge(event)
            await asyncio.sleep(0)
    chosen = selector.choose(candidates)
    return MatchedSlice(chosen, None if scan.after(candidates) is None else candidates[-1].created_at)


class Chunk(Struct, frozen=True):
    """Hold the events of a chunk that still exist with their data, in the order of their turn.

    ``finished`` are rows of ``list_chunk_events`` whose delivery begins anew, ``missing`` those that have none; they
    have a new delivery id. ``deliveries`` are the ids of all deliveries to wait for, also of the live ones.
    """

    finished: tuple[Row, ...]
    missing: tuple[tuple[str, Row], ...]
    deliveries: tuple[str, ...]


def chunk_of(event_ids: Sequence[str], found: Iterable[Row]) -> Chunk:
    """Return what becomes of the events of a chunk."""
    by_event = {row[0]: row for row in found}
    existing = [by_event[event_id] for event_id in event_ids if event_id in by_event]
    new_ids = {row[0]: ids.delivery_id(row[2]) for row in existing if row[3] is None}
    return Chunk(
        tuple(row for row in existing if row[3] is not None and DeliveryStatus(row[4]) in FINISHED),
        tuple((new_ids[row[0]], row) for row in existing if row[3] is None),
        tuple(row[3] or new_ids[row[0]] for row in existing),
    )


class Counted(Struct, frozen=True):
    """Hold a replay after its finished deliveries were counted.

    ``positions`` are theirs; ``examined`` is the last position that was looked at, -1 after the last delivery.
    """

    replay: Replay
    positions: tuple[int, ...]
    examined: int


def count_finished(replay: Replay, found: Sequence[Row]) -> Counted:
    """Count those of the examined deliveries that are finished; one that was deleted has failed."""
    done = [(position, status) for position, status in found if status is None or DeliveryStatus(status) in FINISHED]
    delivered = sum(status == DeliveryStatus.DELIVERED.value for _, status in done)
    counted = msgspec.structs.replace(
        replay, delivered=replay.delivered + delivered, failed=replay.failed + len(done) - delivered
    )
    examined = found[-1][0] if len(found) == EXAMINED_ROWS else -1
    return Counted(counted, tuple(position for position, _ in done), examined)


def step_values(replay: Replay, examined: int, step: NextStep) -> tuple[Any, ...]:
    """Return the values of ``save_replay_step``."""
    progress = (replay.queued, replay.delivered, replay.failed)
    return (replay.status.value, *progress, replay.finished_at, examined, step.at, step.stalled_steps, replay.id)


def chunk_values(
    replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int
) -> list[tuple[str, int, str, int]]:
    """Return the values of ``insert_replay_chunk``, a row for each chunk."""
    texts = [msgspec.json.encode(list(event_ids)).decode() for event_ids in chunks]
    return [(replay_id, number + place, text, now) for place, text in enumerate(texts)]


def chunks_beside(waiting: int, most: int) -> int:
    """Return how many chunks a step may queue beside so many replayed deliveries that wait."""
    return min(most, -(-max(0, MAX_WAITING - waiting) // EVENTS_OF_A_CHUNK))


def chunk_events(text: str) -> list[str]:
    """Return the events of a stored chunk."""
    return msgspec.json.decode(text, type=list[str])
