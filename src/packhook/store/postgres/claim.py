"""Leasing what is due, lane by lane, and giving back what was not sent.

The lanes that a claim looks through are its own until its transaction ends; the other nodes pass over them, and over
each delivery that somebody is about to settle. How calls keep a lane from being missed is told in ``__init__.py``.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

import structlog

from packhook.core.model import LeasedDelivery, Urgency
from packhook.store.base import ClaimRequest, ClaimResult
from packhook.store.leasing import DueLane, fair
from packhook.store.postgres.asking import SQL, Db, columns
from packhook.store.rows import Row

_log: Final = structlog.get_logger("packhook.store")

LANES_AT_ONCE: Final = 500
NEVER: Final = 2**62
SOON: Final = 100  # when another node has what is due in hand just now


async def claim(db: Db, asked: ClaimRequest, *, require_verification: bool = False) -> ClaimResult:
    """See Store.claim."""
    await db.all(SQL["fold_calls"])
    found = await _due_lanes(db, asked, require_verification)
    open_lanes = [lane for lane in found if lane.enabled and lane.held_until <= asked.now]
    deliveries, visited = await _claim_lanes(db, list(fair(open_lanes)), asked)
    backlog = {lane.webhook_id for lane in open_lanes} - visited
    backlog |= await _move_on(db, found, visited, asked.now)
    return ClaimResult(
        deliveries=tuple(deliveries),
        backlog=frozenset(backlog),
        next_due_at=await _next_due(db, found, asked),
    )


async def _due_lanes(db: Db, asked: ClaimRequest, require_verification: bool) -> list[DueLane]:
    found = await db.all(
        SQL["due_lanes"], asked.now, LANES_AT_ONCE, sorted(asked.capacity.excluded), require_verification
    )
    return [DueLane(*row) for row in found]


async def _claim_lanes(db: Db, lanes: list[DueLane], asked: ClaimRequest) -> tuple[list[LeasedDelivery], set[str]]:
    """What there is room for, and which lanes were looked into; a lane that had nothing leaves its share to others."""
    room = asked.capacity.slots if asked.capacity.max_bytes > 0 else 0
    share = max(1, min(asked.per_lane, room // max(1, len(lanes))))
    deliveries: list[LeasedDelivery] = []
    visited: set[str] = set()
    rest = deque(lanes)
    while rest and room > 0:
        turn = [rest.popleft() for _ in range(min(len(rest), max(1, room // share)))]
        claimed = await _claim_share(db, turn, min(share, room), asked)
        deliveries += claimed
        room -= len(claimed)
        visited |= {lane.webhook_id for lane in turn}
    return deliveries, visited


async def _claim_share(db: Db, lanes: list[DueLane], most: int, asked: ClaimRequest) -> list[LeasedDelivery]:
    capacity = asked.capacity
    found = await db.all(
        SQL["claim_deliveries"],
        [lane.webhook_id for lane in lanes],
        [most] * len(lanes),
        asked.now,
        capacity.lease,
        capacity.lease_until,
    )
    turn = {lane.webhook_id: number for number, lane in enumerate(lanes)}
    await _note_interruptions(db, [(row[0], asked.now, row[2] + 1) for row in found if row[9] == "sending"])
    found.sort(key=lambda row: (turn[row[6]], row[4], row[0]))
    return [_leased(lanes[turn[row[6]]], capacity.lease, capacity.lease_until, row) for row in found]


async def _note_interruptions(db: Db, taken_over: list[tuple[str, int, int]]) -> None:
    """A lease ran out: what became of its attempt is unknown."""
    if taken_over:
        await db.all(SQL["insert_interruption"], *columns(taken_over, 3))


def _leased(lane: DueLane, lease: int, lease_until: int, row: Row) -> LeasedDelivery:
    if row[9] == "sending":
        _log.warning("lease_reclaimed", delivery_id=row[0], detail="unknown outcome, sent again")
    return LeasedDelivery(
        id=row[0],
        event_id=row[1],
        webhook_id=lane.webhook_id,
        webhook_version=lane.version,
        organization_id=lane.organization_id,
        event_code=row[5],
        event_created_at=row[8],
        data=row[7],
        attempt_count=row[2],
        attempts_before=row[3],
        urgency=Urgency(row[4]),
        lease=lease,
        lease_until=lease_until,
    )


async def _move_on(db: Db, found: list[DueLane], visited: set[str], now: int) -> set[str]:
    """Set when the lanes are due next; those that are now. A lane with more due goes behind the others.

    A lane that is held, disabled or unverified is put aside until that ends: the next claim does not meet it again.
    """
    aside = [
        (lane.webhook_id, lane.held_until if lane.enabled else NEVER)
        for lane in found
        if not lane.enabled or lane.held_until > now
    ]
    nexts = [(row[0], row[1]) for row in await db.all(SQL["lane_next"], sorted(visited))] if visited else []
    moved = aside + [(webhook_id, max(at, now)) for webhook_id, at in nexts if at is not None]
    empty = [webhook_id for webhook_id, at in nexts if at is None]
    if moved:
        await db.all(SQL["move_lane"], *columns(moved, 2))
    if empty:
        await db.all(SQL["drop_lane"], empty)
    return {webhook_id for webhook_id, at in nexts if at is not None and at <= now}


async def _next_due(db: Db, found: list[DueLane], asked: ClaimRequest) -> int | None:
    row = await db.first(SQL["next_lanes"], sorted(asked.capacity.excluded))
    if row is None or row[1] >= NEVER:
        return None
    webhook_id, due_at = row
    everything = len(found) < LANES_AT_ONCE
    if due_at <= asked.now and everything and all(lane.webhook_id != webhook_id for lane in found):
        return asked.now + SOON
    return int(due_at)


async def release(
    db: Db, deliveries: Sequence[LeasedDelivery], now: int, cut_off: Collection[str] = frozenset()
) -> frozenset[str]:
    """See Store.release; the webhooks that have something due now."""
    given = sorted((each.organization_id, each.id, each.lease) for each in deliveries)
    found = await db.all(SQL["release_delivery"], now, *columns(given, 3))
    await _note_interruptions(db, [(row[2], now, row[3] + 1) for row in found if row[2] in cut_off])
    released = {(row[0], row[1]) for row in found}
    if released:
        await db.all(SQL["lower_lane"], *columns([(*lane, now) for lane in sorted(released)], 3))
    return frozenset(webhook_id for webhook_id, _ in released)
