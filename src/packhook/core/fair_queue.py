"""Queue items of many organizations, and serve each organization as much as the others, whatever its items weigh.

This is start-time fair queueing: an item starts, in virtual time, when the one before it of its organization has
finished, and not before what is served now; the item that starts first is served first. An item finishes its weight
later. So an organization that asks for little is served next, however much another one has queued, and with equal
weights the organizations are served in turn.
"""

import heapq
import itertools
from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_REMEMBERED: Final = 1_000


class WeightedFairQueue(Generic[T]):
    """Queue items by organization. False where it is empty."""

    def __init__(self) -> None:
        self._items: dict[str, deque[T]] = {}
        self._heads: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        self._finishes: dict[str, float] = {}
        self._remembered = _REMEMBERED

    def __bool__(self) -> bool:
        return bool(self._heads)

    def add(self, organization_id: str, item: T) -> None:
        """Queue an item behind the others of its organization."""
        items = self._items.get(organization_id)
        if items is not None:
            items.append(item)
            return
        self._items[organization_id] = deque((item,))
        self._queue(organization_id)

    def peek(self) -> T:
        """Return the item that is served next. IndexError if there is none."""
        return self._items[self._heads[0][2]][0]

    def pop(self, weight: float = 1) -> T:
        """Remove and return the item that is served next, which weighs this much. IndexError if there is none.

        An item without weight costs its organization nothing.
        """
        start, _, organization_id = heapq.heappop(self._heads)
        self._now = start
        self._finishes[organization_id] = start + weight
        items = self._items[organization_id]
        item = items.popleft()
        if items:
            self._queue(organization_id)
        else:
            del self._items[organization_id]
        if len(self._finishes) > self._remembered:
            self._forget()
        return item

    def drain(self) -> list[T]:
        """Remove and return all items."""
        items = [item for of_organization in self._items.values() for item in of_organization]
        self._items.clear()
        self._heads.clear()
        return items

    def _queue(self, organization_id: str) -> None:
        start = max(self._now, self._finishes.get(organization_id, 0.0))
        heapq.heappush(self._heads, (start, next(self._numbers), organization_id))

    def _forget(self) -> None:
        """Forget the organizations that have finished, or all where none waits: they begin as one never served."""
        waiting = self._heads
        self._finishes = {id_: finish for id_, finish in self._finishes.items() if waiting and finish > self._now}
        self._remembered = max(_REMEMBERED, 2 * len(self._finishes))
