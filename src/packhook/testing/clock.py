"""A clock that stands still until it is told to move."""

from typing import Final

START: Final = 1_722_589_200_000  # 2024-08-02T09:00:00Z


class ManualClock:
    """A :class:`packhook.core.clock.Clock` that the test owns; it begins at ``start``, in milliseconds since 1970."""

    def __init__(self, start: int = START) -> None:
        self._now = start

    def now(self) -> int:
        """The present instant, in milliseconds since the Unix epoch (UTC)."""
        return self._now

    def advance(self, milliseconds: int) -> int:
        """Move on (a negative step plays a clock set back); answers the new instant."""
        self._now += milliseconds
        return self._now
