"""Compare what was published with what arrived, order by order.

An order is owed once its publish was answered 202. An order whose publishes were all refused must not arrive. A publish
is repeated with one idempotency key until it is answered, so an order has exactly one event whichever nodes died.
"""

from collections import Counter

from msgspec import Struct


class Verdict(Struct, frozen=True, kw_only=True):
    """Hold the counts of deliveries and the violations: ``lost``, ``unexpected``, ``split`` and ``badly_signed``.

    ``unexpected``: orders that were refused and arrived. ``split``: orders that arrived under several event ids.
    """

    owed: int
    arrived: int
    lost: list[str]
    duplicates: int
    unexpected: list[str]
    split: list[str]
    badly_signed: int

    @property
    def is_proven(self) -> bool:
        """Tell whether there is no violation."""
        return not (self.lost or self.unexpected or self.split or self.badly_signed)


class Ledger:
    """Record publishes by order id, and arrivals by webhook path and order id."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self.owed: dict[str, tuple[str, ...]] = {}
        self.refused: set[str] = set()
        self._accepted: Counter[tuple[str, str]] = Counter()
        self._event_ids: dict[str, set[str]] = {}
        self._badly_signed = 0

    def owe(self, order_id: str, *paths: str) -> None:
        """Record that an order was accepted. It must arrive at these paths, by default at all of the proof's."""
        self.owed[order_id] = paths or self._paths

    def record_arrival(self, path: str, order_id: str, event_id: str, *, accepted: bool, well_signed: bool) -> None:
        """Record that a webhook got this order's event; ``accepted``: it responded 2xx."""
        self._event_ids.setdefault(order_id, set()).add(event_id)
        if not well_signed:
            self._badly_signed += 1
        elif accepted:
            self._accepted[path, order_id] += 1

    def missing(self) -> list[str]:
        """Return the owed orders that have not arrived at every webhook yet."""
        return [
            order for order, paths in self.owed.items() if any((path, order) not in self._accepted for path in paths)
        ]

    def verdict(self) -> Verdict:
        """Return the verdict on everything recorded so far."""
        return Verdict(
            owed=sum(map(len, self.owed.values())),
            arrived=len(self._accepted),
            lost=sorted(self.missing()),
            duplicates=sum(count - 1 for count in self._accepted.values()),
            unexpected=sorted(self.refused & self._event_ids.keys()),
            split=sorted(order for order, ids in self._event_ids.items() if len(ids) > 1),
            badly_signed=self._badly_signed,
        )
