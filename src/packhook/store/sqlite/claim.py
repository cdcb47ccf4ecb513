"""Lease what is due, lane by lane; release what was not sent."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import apsw
import msgspec

from packhook.core.errors import RequestError
from packhook.core.model import LeasedDelivery
from packhook.store.base import ClaimRequest, ClaimResult
from packhook.store.fan_out import OrganizationShares, Slices, pause
from packhook.store.leasing import (
    CLOCK_TOLERANCE,
    EXPEDITED_AT_ONCE,
    MAX_LANES,
    NEVER,
    ClaimedRow,
    DueLane,
    WaitingRow,
    next_expedite,
    round_robin_by_organization,
)
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one

MAX_CLAIMED: Final = 100
"""At most so many deliveries in one transaction: others wait for it. What is left is due at once."""

LANES_OF_A_SLICE: Final = 25
ROWS_OF_A_DELIVERY: Final = 3
"""How many rows take as long as to claim a delivery that is alone in its lane."""


async def claim_all(db: Connection, requests: Sequence[ClaimRequest]) -> list[ClaimResult | RequestError]:
    """Claim for each of these, one after another."""
    return [await claim(db, request) for request in requests]


def weigh(claimed: ClaimResult) -> int:
    """Return about how many rows take as long as the next claim, if it is like this one."""
    return 1 + ROWS_OF_A_DELIVERY * len(claimed.deliveries)


async def claim(db: Connection, request: ClaimRequest) -> ClaimResult:
    """Claim in slices between which others run; see Store.claim."""
    expire_direct_leases(db, request.now)
    lanes = [
        _expedite(db, lane, request.now) for lane in _due_lanes(db, request) if _is_sendable(db, lane, request.now)
    ]
    deliveries: list[LeasedDelivery] = []
    backlog: set[str] = set()
    slots = min(request.capacity.slots, MAX_CLAIMED) if request.capacity.max_bytes > 0 else 0
    share = max(1, min(request.per_lane, slots // max(1, len(lanes))))
    shares = OrganizationShares(request.capacity)
    work = Slices(LANES_OF_A_SLICE)
    for lane in round_robin_by_organization(lanes):
        limit = min(share, slots, shares.left_of(lane.organization_id))
        if limit <= 0:
            backlog.add(lane.webhook_id)
            continue
        claimed = _claim_lane(db, lane, request, limit)
        shares.take(lane.organization_id, len(claimed))
        deliveries += claimed
        slots -= len(claimed)
        if _advance_lane(db, lane, request.now):
            backlog.add(lane.webhook_id)
        if work.ends(1):
            await pause()
    return ClaimResult(
        deliveries=tuple(deliveries),
        backlog=frozenset(backlog),
        next_due_at=_next_due(db, request),
    )


def _due_lanes(db: Connection, request: ClaimRequest) -> list[DueLane]:
    excluded = request.capacity.excluded
    values = (request.now, MAX_LANES + len(excluded), db.store_config.require_verification, _organizations(request))
    found = fetch_all(db, SQL["due_lanes"], values)
    return [lane for lane in map(DueLane._make, found) if lane.webhook_id not in excluded]


def _organizations(request: ClaimRequest) -> str:
    return msgspec.json.encode(list(request.capacity.excluded_organizations)).decode()


def _is_sendable(db: apsw.Connection, lane: DueLane, now: int) -> bool:
    """Return whether the lane may be sent to now; otherwise set it aside until it may: no claim reads it before."""
    if not lane.enabled:
        db.execute(SQL["set_lane_due_at"], (NEVER, lane.webhook_id))
        return False
    if lane.held_until > now:
        db.execute(SQL["set_lane_due_at"], (lane.held_until, lane.webhook_id))
        return False
    return True


def _expedite(db: apsw.Connection, lane: DueLane, now: int) -> DueLane:
    """End the waits of some deliveries where that was asked for; return the lane as it is then."""
    if not lane.expedite_before:
        return lane
    after = max(now, lane.expedite_after)
    found = fetch_all(db, SQL["later_deliveries"], (lane.webhook_id, after, EXPEDITED_AT_ONCE))
    waiting = [(row[0], WaitingRow._make(row[1:])) for row in found]
    ended = [(now, rowid) for rowid, row in waiting if row.may_be_expedited(lane)]
    db.executemany(SQL["expedite_delivery"], ended)
    before, after = next_expedite(lane, [row for _, row in waiting])
    db.execute(SQL["set_expedited"], (before, after, lane.webhook_id))
    return lane._replace(expedite_before=before, expedite_after=after)


def _claim_lane(db: apsw.Connection, lane: DueLane, request: ClaimRequest, limit: int) -> list[LeasedDelivery]:
    capacity = request.capacity
    values = {"webhook_id": lane.webhook_id, "now": request.now, "limit": limit}
    claimed = [ClaimedRow(*row) for row in fetch_all(db, SQL["claim_deliveries"], values)]
    db.executemany(
        SQL["lease_delivery"], [(capacity.lease, capacity.lease_until, request.now, row.rowid) for row in claimed]
    )
    record_interruptions(db, [row.interruption for row in claimed if row.is_interrupted], request.now)
    return [row.leased(lane, capacity) for row in claimed]


def record_interruptions(db: apsw.Connection, interrupted: Iterable[tuple[str, int]], now: int) -> None:
    """Record, for ids and attempt numbers, that the outcome of an attempt is unknown."""
    db.executemany(SQL["insert_interruption"], [(delivery_id, now, number) for delivery_id, number in interrupted])


def _advance_lane(db: apsw.Connection, lane: DueLane, now: int) -> bool:
    """Set when the lane is due next; return whether that is now, also to end further waits.

    A lane with more due goes behind the others.
    """
    row = fetch_one(db, SQL["next_due_in_lane"], (lane.webhook_id,))
    due_at = None if row is None else row[0]
    if due_at is None:
        db.execute(SQL["delete_lane"], (lane.webhook_id,))
        return False
    is_due = due_at <= now or lane.expedite_before > 0
    db.execute(SQL["set_lane_due_at"], (now if is_due else due_at, lane.webhook_id))
    return is_due


def _next_due(db: apsw.Connection, request: ClaimRequest) -> int | None:
    excluded = request.capacity.excluded
    lanes = fetch_all(db, SQL["next_due_lanes"], (len(excluded) + 1, _organizations(request)))
    instants = [due_at for webhook_id, due_at in lanes if webhook_id not in excluded][:1]
    instants += [row[0] for row in fetch_all(db, SQL["next_direct_lease"]) if row[0] is not None]
    due_at = min(instants, default=NEVER)
    return due_at if due_at < NEVER else None


def expire_direct_leases(db: apsw.Connection, now: int) -> None:
    """Put deliveries into their lanes that a publish leased, and whose lease has run out."""
    expired = fetch_all(db, SQL["expire_direct_leases"], (now,))
    db.executemany(SQL["lower_lane_due_at"], expired)


def release(db: apsw.Connection, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str]) -> None:
    """See Store.release."""
    for delivery in deliveries:
        if fetch_one(db, SQL["release_delivery"], (now, delivery.rowid, delivery.lease)) is not None:
            if delivery.id in maybe_sent:
                record_interruptions(db, [(delivery.id, delivery.attempt_count + 1)], now)
            db.execute(SQL["lower_lane_due_at"], (delivery.webhook_id, delivery.organization_id, now))


def replan(db: apsw.Connection, now: int, back: int) -> int:
    """See Store.replan."""
    moved = fetch_all(db, SQL["replan_deliveries"], (now, CLOCK_TOLERANCE))
    db.executemany(SQL["lower_lane_due_at"], moved)
    db.execute(SQL["replan_holds"], (now, back))
    return len(moved)


def release_all(db: apsw.Connection, now: int) -> list[str]:
    """Release everything that a dead process had leased, and return the ids; only for one alone with the database."""
    with db:  # one transaction: a lane may never be due later than what is in it
        found = fetch_all(db, SQL["release_all_leases"], (now,))
        record_interruptions(db, [(id_, attempt_count + 1) for id_, _, _, attempt_count in found], now)
        lanes = {(webhook_id, organization_id, now) for _, webhook_id, organization_id, _ in found}
        db.executemany(SQL["lower_lane_due_at"], lanes)
    return [row[0] for row in found]
