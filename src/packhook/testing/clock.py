"""Provide a clock that moves only when a test moves it."""

from typing import Final

START: Final = 1_722_589_200_000  # 2024-08-02T09:00:00Z


class ManualClock:
    """Implement :class:`packhook.core.clock.Clock` for tests; it begins at ``start``, in milliseconds since 1970."""

    def __init__(self, start: int = START) -> None:
        self._now = start
        self._elapsed = 0

    def now(self) -> int:
        """Return the present instant, in milliseconds since the Unix epoch (UTC)."""
        return self._now

    def advance(self, milliseconds: int) -> int:
        """Let so much time pass, or set the clock back if negative; return the new instant."""
        self._elapsed += max(milliseconds, 0)
        return self.set_forward(milliseconds)

    def set_forward(self, milliseconds: int) -> int:
        """Set the clock, while no time passes; return the new instant."""
        self._now += milliseconds
        return self._now

    def elapsed(self) -> int:
        """Return how much time has passed, in milliseconds."""
        return self._elapsed
