"""Leasing what is due, lane by lane, and giving back what was not sent."""

from collections.abc import Collection, Sequence
from typing import Final

import apsw
import structlog

from packhook.core.model import LeasedDelivery, Urgency
from packhook.store.base import ClaimRequest, ClaimResult
from packhook.store.leasing import DueLane, fair
from packhook.store.rows import Row
from packhook.store.sqlite.asking import SQL, first

_log: Final = structlog.get_logger("packhook.store")

LANES_AT_ONCE: Final = 500
NEVER: Final = 2**62


def claim(db: apsw.Connection, asked: ClaimRequest, *, require_verification: bool = False) -> ClaimResult:
    """See Store.claim."""
    expire_handed(db, asked.now)
    open_lanes = [lane for lane in _due_lanes(db, asked, require_verification) if _may_go(db, lane, asked.now)]
    deliveries: list[LeasedDelivery] = []
    backlog: set[str] = set()
    room = asked.capacity.slots if asked.capacity.max_bytes > 0 else 0
    share = max(1, min(asked.per_lane, room // max(1, len(open_lanes))))
    for lane in fair(open_lanes):
        if room <= 0:
            backlog.add(lane.webhook_id)
            continue
        claimed = _claim_lane(db, lane, asked, min(share, room))
        deliveries += claimed
        room -= len(claimed)
        if _move_on(db, lane, asked.now):
            backlog.add(lane.webhook_id)
    return ClaimResult(
        deliveries=tuple(deliveries),
        backlog=frozenset(backlog),
        next_due_at=_next_due(db, asked),
    )


def _due_lanes(db: apsw.Connection, asked: ClaimRequest, require_verification: bool) -> list[DueLane]:
    closed = asked.capacity.excluded
    found = db.execute(SQL["due_lanes"], (asked.now, LANES_AT_ONCE + len(closed), require_verification))
    return [DueLane(row[0], row[1], row[2], bool(row[3]), row[4]) for row in list(found) if row[0] not in closed]


def _may_go(db: apsw.Connection, lane: DueLane, now: int) -> bool:
    """A lane that is held, disabled or verification_pending is put aside until that ends: no claim meets it before."""
    if not lane.enabled:
        db.execute(SQL["move_lane"], (NEVER, lane.webhook_id))
        return False
    if lane.held_until > now:
        db.execute(SQL["move_lane"], (lane.held_until, lane.webhook_id))
        return False
    return True


def _claim_lane(db: apsw.Connection, lane: DueLane, asked: ClaimRequest, limit: int) -> list[LeasedDelivery]:
    lease, lease_until = asked.capacity.lease, asked.capacity.lease_until
    found = list(db.execute(SQL["claim_deliveries"], {"webhook_id": lane.webhook_id, "now": asked.now, "limit": limit}))
    db.executemany(SQL["lease_delivery"], ((lease, lease_until, asked.now, row[9]) for row in found))
    _note_interruptions(db, [(row[0], asked.now, row[2] + 1) for row in found if row[8] == "sending"])
    return [_leased(lane, lease, lease_until, row) for row in found]


def _note_interruptions(db: apsw.Connection, taken_over: list[tuple[str, int, int]]) -> None:
    """A lease ran out, or its process ended: what became of its attempt is unknown."""
    db.executemany(SQL["insert_interruption"], taken_over)


def _leased(lane: DueLane, lease: int, lease_until: int, row: Row) -> LeasedDelivery:
    if row[8] == "sending":
        _log.warning("lease_reclaimed", delivery_id=row[0], detail="unknown outcome, sent again")
    return LeasedDelivery(
        id=row[0],
        event_id=row[1],
        webhook_id=lane.webhook_id,
        webhook_version=lane.version,
        organization_id=lane.organization_id,
        event_code=row[5],
        event_created_at=row[7],
        data=row[6],
        attempt_count=row[2],
        attempts_before=row[3],
        urgency=Urgency(row[4]),
        lease=lease,
        lease_until=lease_until,
        place=row[9],
    )


def _move_on(db: apsw.Connection, lane: DueLane, now: int) -> bool:
    """Set when the lane is due next; whether that is now. A lane with more due goes behind the others."""
    row = first(db, SQL["lane_next"], (lane.webhook_id,))
    at = None if row is None else row[0]
    if at is None:
        db.execute(SQL["drop_lane"], (lane.webhook_id,))
        return False
    db.execute(SQL["move_lane"], (max(at, now), lane.webhook_id))
    return bool(at <= now)


def _next_due(db: apsw.Connection, asked: ClaimRequest) -> int | None:
    closed = asked.capacity.excluded
    lanes = list(db.execute(SQL["next_lanes"], (len(closed) + 1,)))
    dues = [due_at for webhook_id, due_at in lanes if webhook_id not in closed][:1]
    dues += [row[0] for row in list(db.execute(SQL["next_handed"])) if row[0] is not None]
    due_at = min(dues, default=NEVER)
    return due_at if due_at < NEVER else None


def expire_handed(db: apsw.Connection, now: int) -> None:
    """What was handed over within its publish, and whose lease has run out, goes into its lane."""
    for webhook_id, organization_id, due_at in list(db.execute(SQL["expire_handed"], (now,))):
        db.execute(SQL["lower_lane"], (webhook_id, organization_id, due_at))


def release(db: apsw.Connection, item: tuple[Sequence[LeasedDelivery], int, Collection[str]]) -> None:
    """See Store.release; the item is (deliveries, now, cut_off)."""
    deliveries, now, cut_off = item
    for delivery in deliveries:
        if first(db, SQL["release_delivery"], (now, delivery.place, delivery.lease)) is not None:
            if delivery.id in cut_off:
                _note_interruptions(db, [(delivery.id, now, delivery.attempt_count + 1)])
            db.execute(SQL["lower_lane"], (delivery.webhook_id, delivery.organization_id, now))


def rescue(db: apsw.Connection, now: int) -> list[str]:
    """Free what a dead process had leased; the ids of those deliveries. Only for one alone with the database."""
    with db:  # one transaction: a lane may never be due later than what is in it
        found = list(db.execute(SQL["rescue_deliveries"], (now,)))
        _note_interruptions(db, [(row[0], now, row[3] + 1) for row in found])
        for webhook_id, organization_id in {(row[1], row[2]) for row in found}:
            db.execute(SQL["lower_lane"], (webhook_id, organization_id, now))
    return [row[0] for row in found]
