"""Remember who gets which event, where that was decided before the transaction that writes it.

Filters of many webhooks are much work, and nothing else is written while a transaction is open. So they are evaluated
before, from the subscriptions as they were at a fingerprint. A decision counts only where that is still the same.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from packhook.core.model import Event
from packhook.core.subscription import Subscription
from packhook.store.fan_out import Matched
from packhook.store.filter_errors import FilterError

MAX_DECIDED: Final = 200_000
"""Of about so many deliveries decisions are remembered; without its decision an event is decided again."""


class Decision(Struct, frozen=True):
    """Say who gets an event, as of a fingerprint. ``errors``: those of all events of a call, with the first of them."""

    version: int
    subscriptions: Sequence[Subscription]
    errors: tuple[FilterError, ...] = ()


class Decisions:
    """Hold decisions by event, until they were used. False where there are none."""

    def __init__(self) -> None:
        self._found: dict[str, Decision] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, version: int, events: Sequence[Event], matched: Matched) -> None:
        """Remember who gets these events of a call; forget all others where that is too much."""
        if self._size > MAX_DECIDED:
            self._found.clear()
            self._size = 0
        errors = matched.errors
        for event, subscriptions in zip(events, matched.subscriptions, strict=True):
            self.forget((event,))
            self._found[event.id] = Decision(version, subscriptions, errors)
            self._size += 1 + len(subscriptions)
            errors = ()

    def find(self, event: Event, version: int) -> Decision | None:
        """Return what was decided of an event as of this fingerprint."""
        found = self._found.get(event.id)
        return found if found is not None and found.version == version else None

    def forget(self, events: Sequence[Event]) -> None:
        """Forget what was decided of these."""
        for event in events:
            dropped = self._found.pop(event.id, None)
            if dropped is not None:
                self._size -= 1 + len(dropped.subscriptions)
