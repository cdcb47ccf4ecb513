"""Share what both dialects need to lease due deliveries: the order of lanes, and a claimed row as a value."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from packhook.core.clock import MINUTE
from packhook.core.fairness import WeightedFairQueue
from packhook.core.model import LeasedDelivery, Urgency, Webhook
from packhook.store.dispatcher import Capacity

_log: Final = structlog.get_logger("packhook.store")

EXPEDITED_AT_ONCE: Final = 500
"""How many waiting deliveries of a lane one claim looks at, to make them due."""

MAX_LANES: Final = 500
"""How many lanes one claim looks at."""

NEVER: Final = 2**62

CLOCK_TOLERANCE: Final = MINUTE
"""How far a clock may be set back before what it planned is planned anew."""


CHANGED: Final = "the webhook was changed by somebody else at the same time"

BEING_SENT: Final = "the delivery is being sent: see its next attempt first"


class LaneChange(NamedTuple):
    """State what the change of a webhook means for its lane.

    Enabling it, another endpoint or another schedule makes its waiting deliveries due: the next claims do so, a bounded
    number each (``expedites``). Resuming it and verifying its endpoint make due what is planned for now or earlier.
    Enabling, resuming and another endpoint clear the failure history; enabling and another endpoint end a hold.
    """

    makes_due: bool
    expedites: bool
    ends_hold: bool
    clears_health: bool

    @classmethod
    def of(cls, before: Webhook, after: Webhook) -> "LaneChange":
        """Return what this change means."""
        is_enabled = after.enabled and not before.enabled
        is_resumed = before.paused and not after.paused
        is_verified = before.verification_pending and not after.verification_pending
        moves = after.endpoint != before.endpoint
        expedites = is_enabled or moves or after.retry_schedule != before.retry_schedule
        return cls(
            makes_due=expedites or is_resumed or is_verified,
            expedites=expedites,
            ends_hold=is_enabled or moves,
            clears_health=is_enabled or is_resumed or moves,
        )


class DueLane(NamedTuple):
    """Describe a lane with something due, and whether its webhook may be sent to, in the columns of ``due_lanes``."""

    webhook_id: str
    organization_id: str
    held_until: int
    enabled: bool
    version: int
    expedite_before: int
    expedite_after: int


class WaitingRow(NamedTuple):
    """Describe a delivery that is due later, in the last columns of ``later_deliveries``."""

    claimable_at: int
    status: str
    updated_at: int

    def may_be_expedited(self, lane: DueLane) -> bool:
        """Tell whether its wait is to end: it was planned before that was asked for."""
        return self.status == "pending" and self.updated_at <= lane.expedite_before


def next_expedite(lane: DueLane, found: Sequence[WaitingRow]) -> tuple[int, int]:
    """Return the lane's next ``expedite_before`` and ``expedite_after``; zeros once no delivery is left to look at.

    Others may be claimable at the very instant at which the rows end, so the next look begins there.
    """
    if len(found) < EXPEDITED_AT_ONCE:
        return 0, 0
    last = found[-1].claimable_at
    return lane.expedite_before, last - 1 if last - 1 > lane.expedite_after else last


class ClaimedRow(NamedTuple):
    """Describe a delivery that was claimed, in the columns of ``claim_deliveries``."""

    id: str
    event_id: str
    webhook_id: str
    attempt_count: int
    attempts_before: int
    urgency: int
    event_code: str
    data: bytes
    event_created_at: int
    planned_at: int | None
    status: str
    trace_context: str
    rowid: int = 0

    @property
    def is_interrupted(self) -> bool:
        """Tell whether it was leased before: an attempt may have been made."""
        return self.status == "sending"

    def leased(self, lane: DueLane, capacity: Capacity) -> LeasedDelivery:
        """Return the delivery, leased to the node with this capacity."""
        if self.is_interrupted:
            _log.warning("lease_reclaimed", delivery_id=self.id, detail="outcome unknown, sending it again")
        return LeasedDelivery(
            id=self.id,
            event_id=self.event_id,
            webhook_id=self.webhook_id,
            webhook_version=lane.version,
            organization_id=lane.organization_id,
            event_code=self.event_code,
            event_created_at=self.event_created_at,
            data=self.data,
            attempt_count=self.attempt_count,
            attempts_before=self.attempts_before,
            urgency=Urgency(self.urgency),
            lease=capacity.lease,
            lease_until=capacity.lease_until,
            planned_at=self.planned_at,
            rowid=self.rowid,
            trace_context=self.trace_context,
        )

    @property
    def interruption(self) -> tuple[str, int]:
        """Return the id, and the number of the attempt that may have been made."""
        return self.id, self.attempt_count + 1


def round_robin_by_organization(lanes: Sequence[DueLane]) -> Iterator[DueLane]:
    """Yield one lane of each organization in turn, so that one with many lanes is not served before the others."""
    queue: WeightedFairQueue[DueLane] = WeightedFairQueue()
    for lane in lanes:
        queue.add(lane.organization_id, lane)
    while queue:
        yield queue.pop()
