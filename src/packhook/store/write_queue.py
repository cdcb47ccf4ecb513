"""Queue the writes that wait, and share transactions out between organizations, the same in both dialects.

An organization gets as many rows written as any other that waits (core/fair_queue.py). A transaction takes writes of
about ``MAX_TRANSACTION_WEIGHT`` rows; one that writes more is a transaction of its own. So what an organization has
queued never stands before another's small write: that waits for the transaction that runs, and goes with the next.
"""

from typing import Final, Generic, TypeVar

from packhook.core.fair_queue import WeightedFairQueue

T = TypeVar("T")

MAX_TRANSACTION_WEIGHT: Final = 500
"""About how many rows a transaction writes, unless one call alone writes more."""

OF_THE_NODE: Final = ""
"""Whose writes those of the node itself are: claims, results, maintenance. It makes one of each at a time."""


class WriteQueue(Generic[T]):
    """Queue writes. False where it is empty."""

    def __init__(self) -> None:
        self._queue: WeightedFairQueue[tuple[int, T]] = WeightedFairQueue()
        self._of_node: list[T] = []

    def __bool__(self) -> bool:
        return bool(self._of_node or self._queue)

    def add(self, organization_id: str, weight: int, write: T) -> None:
        """Queue a write of about ``weight`` rows behind the others of its organization."""
        if organization_id == OF_THE_NODE:
            self._of_node.append(write)
        else:
            self._queue.add(organization_id, (weight, write))

    def take(self, *, large: bool = True) -> tuple[list[T], int]:
        """Remove and return the writes of the next transaction, and what those of organizations weigh.

        The node's own are among them. ``large``: the next may be one that is a transaction of its own; without it
        nothing is taken where its turn has come.
        """
        taken, self._of_node = self._of_node, []
        total = 0
        while self._queue:
            weight, write = self._queue.peek()
            if total + weight > MAX_TRANSACTION_WEIGHT and (total or not large):
                break
            self._queue.pop(weight)
            taken.append(write)
            total += weight
        return taken, total

    def drain(self) -> list[T]:
        """Remove and return all writes."""
        taken, self._of_node = self._of_node, []
        return taken + [write for _, write in self._queue.drain()]
