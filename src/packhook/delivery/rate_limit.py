"""Limit one webhook's attempts: how many are in flight at once, and how many begin in a second.

The in-flight cap grows by one with each success, so it doubles from round to round; once it was cut it grows by one in
a round. Overload halves it. The token bucket holds one second's worth of attempts, one at least. Every method takes
the present instant.
"""

from typing import Final

from packhook.core.clock import SECOND

INITIAL_CAP: Final = 8.0


class InFlightCap:
    """Adapt the number of attempts in flight to what an endpoint bears: additive increase, multiplicative decrease."""

    __slots__ = ("_cap", "_cut_at", "_limit", "_slow_start_below")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cap = min(INITIAL_CAP, limit)
        self._slow_start_below = float(limit)
        self._cut_at = 0

    @property
    def value(self) -> int:
        """Return how many attempts may be in flight."""
        return int(self._cap)

    def grow(self) -> None:
        """Raise the cap after a success."""
        step = 1.0 if self._cap < self._slow_start_below else 1.0 / self._cap
        self._cap = min(self._limit, self._cap + step)

    def cut(self, started_at: int, now: int) -> None:
        """Halve the cap, once for all attempts that were in flight together."""
        if started_at <= self._cut_at:
            return
        self._cap = self._slow_start_below = max(1.0, self._cap / 2)
        self._cut_at = now

    def restart(self) -> None:
        """Begin at one again: the endpoint has just come back."""
        self._cap = 1.0

    def move_back(self, milliseconds: int) -> None:
        """Move the instant of the last cut back with a clock that was set back."""
        self._cut_at -= milliseconds


class TokenBucket:
    """Limit attempts to a rate. ``rate`` is in attempts a second; 0 is no limit."""

    __slots__ = ("_filled_at", "_tokens")

    def __init__(self) -> None:
        self._tokens = 1.0
        self._filled_at = 0

    def available_at(self, now: int, rate: float) -> int:
        """Return the instant from which one more attempt may begin; ``now`` means at once."""
        if not rate:
            return now
        self._refill(now, rate)
        return now if self._tokens >= 1 else now + max(1, round((1 - self._tokens) / rate * SECOND))

    def spend(self, now: int, rate: float) -> None:
        """Take the token of an attempt that begins."""
        if rate:
            self._refill(now, rate)
            self._tokens -= 1

    def _refill(self, now: int, rate: float) -> None:
        gained = max(0, now - self._filled_at) / SECOND * rate  # a clock that was set back takes nothing away
        self._tokens = min(max(1.0, rate), self._tokens + gained)
        self._filled_at = now
