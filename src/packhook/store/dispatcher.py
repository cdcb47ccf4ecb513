"""Define the scheduler as the store sees it: what it has capacity for, and what it is notified of."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from packhook.core.model import LeasedDelivery


class Capacity(Struct, frozen=True, kw_only=True):
    """Tell how many deliveries and bytes may be leased to this node, under which lease.

    Deliveries of ``excluded`` webhooks and organizations wait in the database; ``per_lane`` is the most of any other
    webhook. ``queued`` and ``queued_bytes`` are what each organization has here already: it gets no more while it has
    as much as is ``free``: at least ``slots``.
    """

    lease: int
    lease_until: int
    slots: int
    max_bytes: int
    excluded: Collection[str]
    per_lane: int = 2**31
    excluded_organizations: Collection[str] = frozenset()
    free: int = 2**31
    queued: Mapping[str, int] = {}
    queued_bytes: Mapping[str, int] = {}


NO_CAPACITY: Final = Capacity(lease=0, lease_until=0, slots=0, max_bytes=0, excluded=frozenset())


class Dispatcher(Protocol):
    """Take deliveries from a commit to the lanes, without a query."""

    def capacity(self) -> Capacity:
        """Return what may be leased to this node in the transaction that begins now."""
        ...

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Enqueue deliveries whose lease is committed. Called on the event loop; must not raise.

        Enqueue only; do not start sending here. The store's next transaction is waiting for this call to return, and
        will see the reduced capacity.
        """
        ...

    def notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Take a hint: these webhooks have deliveries in the database that may be claimed from ``due_at`` on."""
        ...

    def invalidate(self, webhook_id: str) -> None:
        """Take a hint: this webhook was changed or deleted, so what is cached of it is out of date."""
        ...
