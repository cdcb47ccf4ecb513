"""What was published against what arrived, order by order: the verdict.

An order is owed once its publish was answered 202; an order whose every publish was refused may not arrive. Publishing
repeats with one idempotency key until it is answered, so an order has one event however many nodes died meanwhile.
"""

from collections import Counter

from msgspec import Struct


class Verdict(Struct, frozen=True, kw_only=True):
    """The proof, or what speaks against it. Only ``lost``, ``intruders``, ``split`` and ``badly_signed`` do."""

    owed: int
    arrived: int
    lost: list[str]
    twice: int
    intruders: list[str]  # refused, and yet it arrived
    split: list[str]  # one order, several event ids
    badly_signed: int

    @property
    def is_proven(self) -> bool:
        """Nothing lost, nothing made up."""
        return not (self.lost or self.intruders or self.split or self.badly_signed)


class Ledger:
    """By webhook path and order id."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self.owed: set[str] = set()
        self.refused: set[str] = set()
        self._accepted: Counter[tuple[str, str]] = Counter()
        self._event_ids: dict[str, set[str]] = {}
        self._badly_signed = 0

    def arrived(self, path: str, order_id: str, event_id: str, *, accepted: bool, well_signed: bool) -> None:
        """A webhook got this order's event; ``accepted``: it answered 2xx."""
        self._event_ids.setdefault(order_id, set()).add(event_id)
        if not well_signed:
            self._badly_signed += 1
        elif accepted:
            self._accepted[path, order_id] += 1

    def missing(self) -> list[str]:
        """Orders that are owed and that some webhook does not have yet."""
        return [order for order in self.owed if any((path, order) not in self._accepted for path in self._paths)]

    def verdict(self) -> Verdict:
        """As things stand."""
        return Verdict(
            owed=len(self.owed) * len(self._paths),
            arrived=len(self._accepted),
            lost=sorted(self.missing()),
            twice=sum(count - 1 for count in self._accepted.values()),
            intruders=sorted(self.refused & self._event_ids.keys()),
            split=sorted(order for order, ids in self._event_ids.items() if len(ids) > 1),
            badly_signed=self._badly_signed,
        )
