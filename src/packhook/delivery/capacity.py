"""Bound the memory and the requests of one node, and share both out.

An organization may have as many attempts in flight as are free, and a lane may hold or send only a share of what is
free (the dynamic threshold of shared buffers). So neither a hanging endpoint nor a thousand of them in one organization
take the places of the others. What does not fit stays in the database.
"""

import itertools
import secrets
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from packhook.core.clock import SECOND, Clock
from packhook.core.model import MAX_DATA_BYTES, LeasedDelivery
from packhook.delivery.lane import Lane
from packhook.settings import Settings
from packhook.store.dispatcher import Capacity

MAX_QUEUED_BYTES: Final = 256 * 1024 * 1024
LANE_PART_OF_QUEUE: Final = 4
LANE_PART_OF_SLOTS: Final = 8


class QueueCapacity:
    """Count the deliveries that are queued in memory, and decide how many more the node and each lane may hold.

    ``full_lanes`` are webhooks whose further deliveries should stay in the database until half of theirs are sent.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._limit = settings.max_queued_deliveries
        self._lease_duration = settings.lease_duration
        self._lease_numbers = itertools.count(secrets.randbits(61) + 1)
        self._queued = 0
        self._queued_bytes = 0
        self._by_organization: dict[str, int] = {}
        self._bytes_by_organization: dict[str, int] = {}
        self._full_organizations: set[str] = set()
        self._needs_claim = False
        self._closed = False
        self.full_lanes: set[str] = set()

    @property
    def queued(self) -> int:
        """Return how many deliveries are queued."""
        return self._queued

    def offer(self, excluded: Collection[str], at_most: int | None = None) -> Capacity:
        """Return what may be leased to this node now, under a new lease number, without ``excluded`` webhooks."""
        free = 0 if self._closed else max(0, self._limit - self._queued)
        return Capacity(
            lease=next(self._lease_numbers),
            lease_until=self._clock.now() + self._lease_duration,
            slots=free if at_most is None else min(free, at_most),
            max_bytes=self._free_bytes(),
            excluded=frozenset(excluded),
            per_lane=self._lane_share(),
            excluded_organizations=frozenset(self._full_organizations),
            free=free,
            queued=self._by_organization,
            free_bytes=self._free_bytes(),
            queued_bytes=self._bytes_by_organization,
        )

    def offer_to_claim(self, excluded: Collection[str], at_most: int) -> Capacity | None:
        """Do the same for a claim. Return None if the queue is full; then ``remove`` says when it no longer is.

        An organization that has as many queued, or as many bytes, as are free gets nothing until it has
        less than half of what is free.
        """
        full = self._full_organizations
        self._full_organizations = {
            known
            for known in self._by_organization
            if self._is_organization_full(known, part=2 if known in full else 1)
        }
        capacity = self.offer(excluded, max(1, min(at_most, self._free_bytes() // MAX_DATA_BYTES)))
        self._needs_claim = capacity.slots <= 0 or capacity.max_bytes <= 0
        return None if self._needs_claim else capacity

    def add(self, delivery: LeasedDelivery) -> None:
        """Count a delivery that was queued."""
        self._count(delivery.organization_id, 1, len(delivery.data))

    def note_if_full(self, lane: Lane) -> None:
        """Note that a lane is full, if it is."""
        if lane.queued >= self._lane_limit(lane):
            self.full_lanes.add(lane.webhook_id)

    def remove(self, lane: Lane, delivery: LeasedDelivery) -> bool:
        """Count a delivery that left its lane. Return True if there is room again and a claim should fill it."""
        self._count(delivery.organization_id, -1, -len(delivery.data))
        has_room = self._frees_organization(delivery.organization_id)
        if lane.webhook_id in self.full_lanes and lane.queued <= self._lane_limit(lane) // 2:
            self.full_lanes.discard(lane.webhook_id)
            has_room = True
        if self._needs_claim and self._is_well_below_limit():
            self._needs_claim = False
            has_room = True
        return has_room

    def close(self) -> None:
        """Offer nothing any more."""
        self._closed = True

    def _is_well_below_limit(self) -> bool:
        return self._queued <= self._limit * 7 // 8 and self._queued_bytes <= MAX_QUEUED_BYTES * 7 // 8

    def _count(self, organization_id: str, count: int, in_bytes: int) -> None:
        self._queued += count
        self._queued_bytes += in_bytes
        total = self._by_organization.get(organization_id, 0) + count
        if not total:
            del self._by_organization[organization_id], self._bytes_by_organization[organization_id]
            return
        self._by_organization[organization_id] = total
        self._bytes_by_organization[organization_id] = self._bytes_by_organization.get(organization_id, 0) + in_bytes

    def _free_bytes(self) -> int:
        return MAX_QUEUED_BYTES - self._queued_bytes

    def _is_organization_full(self, organization_id: str, part: int = 1) -> bool:
        """Return True if an organization has at least a ``part``-th of as much queued as is free."""
        return (
            self._by_organization.get(organization_id, 0) >= max(1, (self._limit - self._queued) // part)
            or self._bytes_by_organization.get(organization_id, 0) >= self._free_bytes() // part
        )

    def _frees_organization(self, organization_id: str) -> bool:
        """Return True if an organization was full and has room again."""
        if organization_id not in self._full_organizations or self._is_organization_full(organization_id, part=2):
            return False
        self._full_organizations.discard(organization_id)
        return True

    def _lane_share(self) -> int:
        return max(1, (self._limit - self._queued) // LANE_PART_OF_QUEUE)

    def _lane_limit(self, lane: Lane) -> int:
        """Return how many deliveries a lane may hold: its share, but no more than it can send within half a lease."""
        share, rate = self._lane_share(), lane.rate_limit
        return min(share, max(1, int(rate * self._lease_duration / SECOND / 2))) if rate else share


class SlotPool:
    """Count the attempts in flight, and share the slots out between organizations, and between their lanes.

    An organization may have as many in flight as are still free: one alone gets half, two a third each. A lane may have
    an eighth of what is free. A lane that is refused waits here, not in the fair queue, until ``release`` returns it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._in_flight = 0
        self._by_organization: Counter[str] = Counter()
        self._waiting: dict[str, Lane] = {}
        self._waiting_share = size
        self._waiting_by_organization: dict[str, dict[str, Lane]] = {}

    @property
    def has_free(self) -> bool:
        """Return True if one more attempt may begin."""
        return self._in_flight < self._size

    def admits(self, lane: Lane) -> bool:
        """Return True if a lane may have one more slot. If not, it waits until ``release`` returns it."""
        if self._left_of(lane.organization_id) <= 0:
            self._waiting_by_organization.setdefault(lane.organization_id, {})[lane.webhook_id] = lane
            return False
        share = self._lane_share()
        if lane.in_flight < share or lane.in_flight < self._least_share(lane):
            return True
        self._waiting[lane.webhook_id] = lane
        self._waiting_share = min(self._waiting_share, share)
        return False

    def acquire(self, lane: Lane) -> None:
        """Take a slot."""
        self._in_flight += 1
        self._by_organization[lane.organization_id] += 1

    def release(self, lane: Lane) -> Iterable[Lane]:
        """Free the slot of a lane's attempt. Return the lanes that may try again."""
        self._in_flight -= 1
        self._by_organization[lane.organization_id] -= 1
        if not self._by_organization[lane.organization_id]:
            del self._by_organization[lane.organization_id]
        return [*self._wake_organizations(lane.organization_id), *self._wake_lanes()]

    def _wake_organizations(self, organization_id: str) -> Iterable[Lane]:
        """Return waiting lanes of the organization whose attempt ended, and of the next in turn: not of all of them.

        No organization is forgotten: one that waits has an attempt in flight, or will be the next in turn; when nothing
        is in flight any more, all wake.
        """
        waiting = self._waiting_by_organization
        if not waiting:
            return
        in_turn = next(iter(waiting))
        for woken in tuple(waiting) if not self._in_flight else dict.fromkeys((organization_id, in_turn)):
            lanes = waiting.pop(woken, {})
            count = min(len(lanes), self._left_of(woken)) if self._in_flight else len(lanes)
            for webhook_id in list(itertools.islice(lanes, max(0, count))):
                yield lanes.pop(webhook_id)
            if lanes:
                waiting[woken] = lanes

    def _wake_lanes(self) -> Iterable[Lane]:
        """Return one lane that waits for its own share, or all if that share has grown."""
        if not self._waiting:
            return ()
        if self._lane_share() > self._waiting_share:
            lanes = list(self._waiting.values())
            self._waiting.clear()
        else:
            lanes = [self._waiting.pop(next(iter(self._waiting)))]
        if not self._waiting:
            self._waiting_share = self._size
        return lanes

    def _left_of(self, organization_id: str) -> int:
        """Return how many more slots an organization may have: as long as it has fewer than are free."""
        return self._size - self._in_flight - self._by_organization.get(organization_id, 0)

    def _lane_share(self) -> int:
        return (self._size - self._in_flight) // LANE_PART_OF_SLOTS

    def _least_share(self, lane: Lane) -> int:
        """Return one slot, but none of the last eighth for a lane that fails."""
        is_reserved = self._size - self._in_flight <= self._size // LANE_PART_OF_SLOTS
        return 0 if lane.breaker.has_failed and is_reserved else 1
