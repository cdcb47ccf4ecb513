"""Share what both dialects need to lease due deliveries: the order of lanes, and a claimed row as a value."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from packhook.core.clock import MINUTE
from packhook.core.fair_queue import WeightedFairQueue
from packhook.core.model import LeasedDelivery, Urgency
from packhook.store.dispatcher import Capacity

_log: Final = structlog.get_logger("packhook.store")

MAX_LANES: Final = 500
"""How many lanes one claim looks at."""

NEVER: Final = 2**62

CLOCK_TOLERANCE: Final = MINUTE
"""How far a clock may be set back before what it planned is planned anew."""


class DueLane(NamedTuple):
    """Describe a lane with something due, and whether its webhook may be sent to, in the columns of ``due_lanes``."""

    webhook_id: str
    organization_id: str
    held_until: int
    enabled: bool
    version: int


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
    status: str
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
            rowid=self.rowid,
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
