"""Lease what is due, lane by lane; release what was not sent.

The lanes that a claim examines are locked until its transaction ends; other nodes skip them, and every delivery that
somebody is about to settle. ``__init__.py`` explains how wake-ups keep a lane from being missed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from packhook.core.model import LeasedDelivery
from packhook.store.base import ClaimRequest, ClaimResult
from packhook.store.fan_out import OrganizationShares
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
from packhook.store.postgres.queries import SQL, Db, to_arrays

BUSY_RETRY: Final = 100
"""Milliseconds until the next claim, where another node has locked what is due."""


async def claim(db: Db, request: ClaimRequest) -> ClaimResult:
    """See Store.claim."""
    await db.fetch_all(SQL["merge_lane_wakeups"])
    found = await _due_lanes(db, request)
    sendable = [
        await _expedite(db, lane, request.now) for lane in found if lane.enabled and lane.held_until <= request.now
    ]
    deliveries, visited = await _claim_lanes(db, list(round_robin_by_organization(sendable)), request)
    backlog = {lane.webhook_id for lane in sendable} - visited
    expediting = {lane.webhook_id for lane in sendable if lane.expedite_before}
    backlog |= await _advance_lanes(db, found, visited, expediting, request.now)
    return ClaimResult(
        deliveries=tuple(deliveries),
        backlog=frozenset(backlog),
        next_due_at=await _next_due(db, found, request),
    )


async def _due_lanes(db: Db, request: ClaimRequest) -> list[DueLane]:
    webhooks, organizations = _excluded(request)
    values = (request.now, MAX_LANES, webhooks, db.config.require_verification, organizations)
    return [DueLane(*row) for row in await db.fetch_all(SQL["due_lanes"], *values)]


def _excluded(request: ClaimRequest) -> tuple[list[str], list[str]]:
    return sorted(request.capacity.excluded), sorted(request.capacity.excluded_organizations)


async def _expedite(db: Db, lane: DueLane, now: int) -> DueLane:
    """End the waits of some deliveries where that was asked for; return the lane as it is then."""
    if not lane.expedite_before:
        return lane
    after = max(now, lane.expedite_after)
    found = await db.fetch_all(SQL["later_deliveries"], lane.webhook_id, after, EXPEDITED_AT_ONCE)
    waiting = [((row[0], row[1]), WaitingRow(*row[2:])) for row in found]
    ended = [key for key, row in waiting if row.may_be_expedited(lane)]
    if ended:
        await db.fetch_all(SQL["expedite_delivery"], now, *to_arrays(ended, 2))
    before, after = next_expedite(lane, [row for _, row in waiting])
    await db.fetch_all(SQL["set_expedited"], before, after, lane.webhook_id)
    return lane._replace(expedite_before=before, expedite_after=after)


async def _claim_lanes(db: Db, lanes: list[DueLane], request: ClaimRequest) -> tuple[list[LeasedDelivery], set[str]]:
    """Claim while there is capacity; return also which lanes were read. An empty lane leaves its share to others."""
    slots = request.capacity.slots if request.capacity.max_bytes > 0 else 0
    share = max(1, min(request.per_lane, slots // max(1, len(lanes))))
    deliveries: list[LeasedDelivery] = []
    visited: set[str] = set()
    rest = deque(lanes)
    shares = OrganizationShares(request.capacity)
    while rest and slots > 0:
        turn: dict[DueLane, int] = {}
        for lane in [rest.popleft() for _ in range(min(len(rest), max(1, slots // share)))]:
            limit = min(share, slots, shares.left_of(lane.organization_id))
            if limit > 0:
                turn[lane] = limit
                shares.take(lane.organization_id, limit)
        claimed = await _claim_share(db, list(turn), list(turn.values()), request) if turn else []
        for lane, limit in turn.items():
            shares.take(lane.organization_id, -limit)
        for delivery in claimed:
            shares.take(delivery.organization_id, 1)
        deliveries += claimed
        slots -= len(claimed)
        visited |= {lane.webhook_id for lane in turn}
    return deliveries, visited


async def _claim_share(db: Db, lanes: list[DueLane], limits: list[int], request: ClaimRequest) -> list[LeasedDelivery]:
    capacity = request.capacity
    found = await db.fetch_all(
        SQL["claim_deliveries"],
        [lane.webhook_id for lane in lanes],
        limits,
        request.now,
        capacity.lease,
        capacity.lease_until,
    )
    claimed = [ClaimedRow(*row) for row in found]
    turn = {lane.webhook_id: number for number, lane in enumerate(lanes)}
    claimed.sort(key=lambda row: (turn[row.webhook_id], row.urgency, row.id))
    await record_interruptions(db, [row.interruption for row in claimed if row.is_interrupted], request.now)
    return [row.leased(lanes[turn[row.webhook_id]], capacity) for row in claimed]


async def record_interruptions(db: Db, interrupted: Iterable[tuple[str, int]], now: int) -> None:
    """Record, for ids and attempt numbers, that the outcome of an attempt is unknown."""
    values = [(delivery_id, now, number) for delivery_id, number in interrupted]
    if values:
        await db.fetch_all(SQL["insert_interruption"], *to_arrays(values, 3))


async def _advance_lanes(
    db: Db, found: list[DueLane], visited: set[str], expediting: Collection[str], now: int
) -> set[str]:
    """Set when the lanes are due next; return those that are due now, also to end further waits.

    A lane with more due goes behind the others. A lane that is held, disabled or unverified is set aside until that
    ends, so that the next claim does not read it.
    """
    aside = [
        (lane.webhook_id, lane.held_until if lane.enabled else NEVER)
        for lane in found
        if not lane.enabled or lane.held_until > now
    ]
    nexts: dict[str, int | None] = {}
    if visited:
        for webhook_id, due_at in await db.fetch_all(SQL["next_due_in_lane"], sorted(visited)):
            nexts[webhook_id] = now if due_at is not None and webhook_id in expediting else due_at
    moved = aside + [(webhook_id, max(at, now)) for webhook_id, at in nexts.items() if at is not None]
    empty = [webhook_id for webhook_id, at in nexts.items() if at is None]
    if moved:
        await db.fetch_all(SQL["set_lane_due_at"], *to_arrays(moved, 2))
    if empty:
        await db.fetch_all(SQL["delete_lane"], empty)
    return {webhook_id for webhook_id, at in nexts.items() if at is not None and at <= now}


async def _next_due(db: Db, found: list[DueLane], request: ClaimRequest) -> int | None:
    row = await db.fetch_one(SQL["next_due_lanes"], *_excluded(request))
    if row is None or row[1] >= NEVER:
        return None
    webhook_id, due_at = row
    is_all = len(found) < MAX_LANES
    if due_at <= request.now and is_all and all(lane.webhook_id != webhook_id for lane in found):
        return request.now + BUSY_RETRY
    return int(due_at)


async def replan(db: Db, now: int, back: int) -> int:
    """See Store.replan."""
    moved = [tuple(row) for row in await db.fetch_all(SQL["replan_deliveries"], now, CLOCK_TOLERANCE)]
    await db.fetch_all(SQL["replan_holds"], now, back)
    if moved:
        await db.fetch_all(SQL["lower_lane_due_at"], *to_arrays(moved, 3))
    return len(moved)


async def release(
    db: Db, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str]
) -> frozenset[str]:
    """See Store.release; return the webhooks that have something due now."""
    wanted = sorted((delivery.organization_id, delivery.id, delivery.lease) for delivery in deliveries)
    found = await db.fetch_all(SQL["release_delivery"], now, *to_arrays(wanted, 3))
    interrupted = [(id_, attempt_count + 1) for _, _, id_, attempt_count in found if id_ in maybe_sent]
    await record_interruptions(db, interrupted, now)
    lanes = {(webhook_id, organization_id) for webhook_id, organization_id, *_ in found}
    if lanes:
        await db.fetch_all(SQL["lower_lane_due_at"], *to_arrays([(*lane, now) for lane in sorted(lanes)], 3))
    return frozenset(webhook_id for webhook_id, _ in lanes)
