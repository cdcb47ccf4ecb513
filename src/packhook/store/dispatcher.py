"""The engine as the store sees it: what it has room for, and what it is told of."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from packhook.core.model import LeasedDelivery


class Capacity(Struct, frozen=True, kw_only=True):
    """What this node can take in hand at once: how many deliveries and bytes, and the lease they are to carry.

    ``excluded`` are webhooks whose deliveries should wait in the database; ``per_lane`` is the most of any other.
    """

    lease: int
    lease_until: int
    slots: int
    max_bytes: int
    excluded: Collection[str]
    per_lane: int = 2**31


class Dispatcher(Protocol):
    """The engine as the store sees it: the short way from a commit to the lanes, without a query."""

    def capacity(self) -> Capacity:
        """What may be leased to this node in the transaction that begins now."""
        ...

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Take these in hand: their lease is committed. Called on the event loop, must not raise.

        They count in the next offer, and nothing else is done at once: the store's next transaction waits for this.
        """
        ...

    def notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        """A hint: these webhooks have deliveries in the database that may be claimed from ``due_at`` on."""
        ...

    def invalidate(self, webhook_id: str) -> None:
        """A hint: this webhook was changed or deleted, so what is cached of it is old."""
        ...
