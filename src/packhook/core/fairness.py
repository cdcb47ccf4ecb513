"""Share fairly between organizations: what waits is served in turn, and what is bounded is never one's alone.

Queues are start-time fair queueing: an item starts, in virtual time, when the one before it of its organization has
finished, and not before what is served now; the item that starts first is served first. An item finishes its weight
later. So an organization that asks for little is served next, however much another one has queued, and with equal
weights the organizations are served in turn.

Writes into the database are queued like this, too. A transaction takes writes of about ``SHARED_WEIGHT`` rows, small
ones with small ones; a call that writes more is a transaction of its own. So what an organization has queued never
stands before another's small write: that waits for the transaction in progress, and goes with the next. The node's own
writes, results and claims, go along where they are few; else they are transactions of their own, in turn with others.

Of a bounded resource an organization may use as much as is still free (the dynamic threshold of shared buffers): one
alone gets at most half of the limit, two get a third each. Whatever one does, there is room for the others.
"""

import heapq
import itertools
from collections import deque
from enum import Enum, auto
from typing import Final, Generic, Self, TypeVar

from packhook.core.errors import Overloaded

T = TypeVar("T")

MAX_TRANSACTION_WEIGHT: Final = 500
"""A call that writes more rows is large: it may be cut, and has a share of the time. A row takes about 10 µs."""

SHARED_WEIGHT: Final = 200
"""About how many rows a transaction writes for several calls."""

SMALL_WEIGHT: Final = 50
"""A call of so many rows waits for no larger one that could share its transaction."""

FEW_OF_NODE: Final = 150
"""So many rows of the node's own go along with a transaction of others."""

OF_THE_NODE: Final = ""
"""Whose writes those of the node itself are: claims, results, maintenance. It makes one of each at a time."""

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


class _Kind(Enum):
    SMALL = auto()
    LARGER = auto()
    OF_NODE = auto()


class WriteQueue(Generic[T]):
    """Queue writes. False where it is empty."""

    def __init__(self) -> None:
        self._queue: WeightedFairQueue[tuple[int, T]] = WeightedFairQueue()
        self._of_node: deque[tuple[int, T]] = deque()
        self._weight_of_node = 0
        self._last = _Kind.LARGER

    def __bool__(self) -> bool:
        return bool(self._of_node or self._queue)

    def add(self, organization_id: str, weight: int, write: T) -> None:
        """Queue a write of about ``weight`` rows behind the others of its organization."""
        if organization_id == OF_THE_NODE:
            self._of_node.append((weight, write))
            self._weight_of_node += weight
        else:
            self._queue.add(organization_id, (weight, write))

    def take(self, *, large: bool = True) -> tuple[list[T], int]:
        """Remove and return the writes of the next transaction, and what those of organizations weigh.

        Many of the node's own are a transaction: after each of others, but after a small one first where one waits.
        ``large``: the next may be one that is a transaction of its own; without it nothing is taken where its turn has
        come.
        """
        first = self._queue.peek()[0] if self._queue else 0
        if first > MAX_TRANSACTION_WEIGHT and not large:
            first = 0
        if self._weight_of_node <= FEW_OF_NODE or not first:
            taken = self._take_of_node()
        elif self._last is _Kind.OF_NODE or (self._last is _Kind.LARGER and first <= SMALL_WEIGHT):
            taken = []
        else:
            self._last = _Kind.OF_NODE
            return self._take_of_node(), 0
        if not first:
            return taken, 0
        self._last = _Kind.SMALL if first <= SMALL_WEIGHT else _Kind.LARGER
        total = 0
        while self._queue:
            weight, write = self._queue.peek()
            is_other_kind = first <= SMALL_WEIGHT < weight
            if total and (is_other_kind or total + weight > SHARED_WEIGHT):
                break
            self._queue.pop(weight)
            taken.append(write)
            total += weight
        return taken, total

    def _take_of_node(self) -> list[T]:
        """Remove and return the node's own writes, as many as one transaction should write, and at least one."""
        taken: list[T] = []
        total = 0
        while self._of_node and not (total and total + self._of_node[0][0] > SHARED_WEIGHT):
            weight, write = self._of_node.popleft()
            taken.append(write)
            total += weight
        self._weight_of_node -= total
        return taken

    def drain(self) -> list[T]:
        """Remove and return all writes."""
        taken = [write for _, write in self._of_node]
        self._of_node.clear()
        self._weight_of_node = 0
        return taken + [write for _, write in self._queue.drain()]


class FairShare:
    """Count what is in use, at most ``limit`` units. A request that is the only one may use the whole limit.

    ``refusal`` is the detail of the error for a request that gets no room.
    """

    def __init__(self, limit: int, refusal: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._used = 0
        self._used_by: dict[str, int] = {}

    def reserve(self, organization_id: str) -> "Reservation":
        """Return an empty reservation of this organization."""
        return Reservation(self, organization_id)

    def acquire(self, organization_id: str, size: int, held: int) -> None:
        """Add ``size`` units to a request that holds ``held`` units; raise Overloaded if there is no room."""
        if not self.try_acquire(organization_id, size, held):
            raise Overloaded(self._refusal)

    def try_acquire(self, organization_id: str, size: int = 1, held: int = 0) -> bool:
        """Do the same; return False if there is no room."""
        own = self._used_by.get(organization_id, 0)
        if own + size > self._limit - self._used and self._used > held:
            return False
        if size:
            self._used_by[organization_id] = own + size
            self._used += size
        return True

    def used_by(self, organization_id: str) -> int:
        """Return the units that an organization has in use."""
        return self._used_by.get(organization_id, 0)

    def largest(self) -> str | None:
        """Return the organization with the most units in use; None if there is none."""
        return max(self._used_by, key=self._used_by.__getitem__, default=None)

    def release(self, organization_id: str, size: int = 1) -> None:
        """Return ``size`` units."""
        self._used -= size
        own = self._used_by[organization_id] - size
        if own:
            self._used_by[organization_id] = own
        else:
            del self._used_by[organization_id]


class Reservation:
    """Hold the units of one request; leaving the ``with`` block returns them."""

    __slots__ = ("_organization_id", "_share", "_size")

    def __init__(self, share: FairShare, organization_id: str) -> None:
        self._share = share
        self._organization_id = organization_id
        self._size = 0

    def grow(self, size: int) -> None:
        """Reserve ``size`` more units; raise Overloaded if there is no room."""
        self._share.acquire(self._organization_id, size, self._size)
        self._size += size

    def release(self) -> None:
        """Return the units; a second call does nothing."""
        if self._size:
            size, self._size = self._size, 0
            self._share.release(self._organization_id, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
