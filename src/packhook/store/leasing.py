"""The same in both dialects: what a publish hands to this node, and in which order lanes are served."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from packhook.core import ids
from packhook.core.model import Event, LeasedDelivery, Receipt, Urgency
from packhook.store.base import Told
from packhook.store.dispatcher import Capacity


class Published:
    """What one publish call came to: the answer, what is leased to this node, and which lanes have the others."""

    __slots__ = ("leased", "receipts", "waiting")

    def __init__(
        self,
        receipts: tuple[Receipt, ...],
        leased: tuple[LeasedDelivery, ...] = (),
        waiting: frozenset[str] = frozenset(),
    ) -> None:
        self.receipts = receipts
        self.leased = leased
        self.waiting = waiting


def tell_receipts(told: Told[tuple[Receipt, ...]], published: Published | Exception) -> None:
    """Of what one publish call came to, the publisher hears the receipts."""
    told(published.receipts if isinstance(published, Published) else published)


class Room:
    """What is left of an offer while a transaction hands it out."""

    __slots__ = ("closed", "data", "deliveries", "lanes", "lease", "lease_until", "per_lane")

    def __init__(self, capacity: Capacity) -> None:
        self.lease = capacity.lease
        self.lease_until = capacity.lease_until
        self.deliveries = capacity.slots
        self.data = capacity.max_bytes
        self.per_lane = capacity.per_lane
        self.lanes: dict[str, int] = {}
        self.closed: Collection[str] = capacity.excluded

    def close(self, webhook_ids: Iterable[str]) -> None:
        """Lease nothing of these: what they are sent waits in the database."""
        self.closed = {*self.closed, *webhook_ids}

    def take(self, webhook_id: str, size: int) -> bool:
        """Whether this delivery can be leased to the node; if so its room is taken."""
        taken = self.lanes.get(webhook_id, 0)
        if self.deliveries <= 0 or self.data < size or taken >= self.per_lane or webhook_id in self.closed:
            return False
        self.lanes[webhook_id] = taken + 1
        self.deliveries -= 1
        self.data -= size
        return True


def first_delivery(event: Event, webhook_id: str, version: int, room: Room, place: int = 0) -> LeasedDelivery:
    """The delivery, leased where there is room for it; a lease of 0 is none, and then it is claimable at once."""
    leased = room.take(webhook_id, len(event.data))
    return LeasedDelivery(
        id=ids.delivery_id(event.created_at),
        event_id=event.id,
        webhook_id=webhook_id,
        webhook_version=version,
        organization_id=event.organization_id,
        event_code=event.event_code,
        event_created_at=event.created_at,
        data=event.data,
        attempt_count=0,
        attempts_before=0,
        urgency=Urgency.FIRST,
        lease=room.lease if leased else 0,
        lease_until=room.lease_until if leased else event.created_at,
        place=place,
    )


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane with something due: whose it is, and whether and how its webhook may be sent to."""

    webhook_id: str
    organization_id: str
    held_until: int
    enabled: bool
    version: int


def fair(lanes: Sequence[DueLane]) -> Iterator[DueLane]:
    """Round over the organizations, one lane of each, so that one with many lanes is not served before the others."""
    by_organization: defaultdict[str, deque[DueLane]] = defaultdict(deque)
    for lane in lanes:
        by_organization[lane.organization_id].append(lane)
    turns = deque(by_organization.values())
    while turns:
        own = turns.popleft()
        yield own.popleft()
        if own:
            turns.append(own)
