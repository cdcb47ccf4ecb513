"""Stop sending to an endpoint that is down, and find out when it is up again.

::

              ten failures in a row            the hold is over
    closed ──────────────────────────▶ open ─────────────────────▶ probing: one attempt at a time
      ▲                                  ▲                            │             │
      │                                  └── failure: hold doubles ───┘             │
      └───────────────────────────────────────────────────────────── success ───────┘

A hold is an instant before which nothing is sent and no attempt is spent. The breaker sets one when it opens; an
endpoint sets one with ``Retry-After``; a fault of our own sets one, too. Every method takes the present instant.
"""

from typing import Final

from packhook.core.clock import MINUTE, SECOND

FAILURES_TO_OPEN: Final = 10
FIRST_HOLD: Final = 1 * SECOND
LONGEST_HOLD: Final = 1 * MINUTE


class CircuitBreaker:
    """Decide from the results of attempts whether anything may be sent to one endpoint."""

    __slots__ = ("_failures", "_next_hold", "held_until")

    def __init__(self) -> None:
        self.held_until = 0
        self._failures = 0
        self._next_hold = FIRST_HOLD

    @property
    def has_failed(self) -> bool:
        """Return True if the last attempts failed as if the endpoint were down."""
        return self._failures > 0

    @property
    def is_probing(self) -> bool:
        """Return True if the breaker is open, or waits for the one attempt that shows how the endpoint is."""
        return self._failures >= FAILURES_TO_OPEN

    def is_held(self, now: int) -> bool:
        """Return True if nothing may be sent, however little is in flight."""
        return self.held_until > now

    def hold_until(self, instant: int) -> None:
        """Send nothing before this instant. A later instant that is set already stays."""
        self.held_until = max(self.held_until, instant)

    def record_success(self) -> None:
        """Close: count failures from zero, and begin again with the shortest hold."""
        self._failures = 0
        self._next_hold = FIRST_HOLD

    def record_failure(self, now: int, longest_hold: int) -> None:
        """Count a failure; from the tenth in a row on, hold for at most ``longest_hold`` milliseconds.

        Attempts that were in flight together fail together: while a hold lasts, further failures do not extend it.
        """
        self._failures += 1
        if not self.is_probing or self.is_held(now):
            return
        self.held_until = now + min(self._next_hold, LONGEST_HOLD, longest_hold)
        self._double_hold()

    def back_off(self, now: int) -> None:
        """Hold after a fault of our own, twice as long each time. It says nothing about the endpoint."""
        if self.is_held(now):
            return
        self.held_until = now + self._next_hold
        self._double_hold()

    def reset(self) -> None:
        """Forget holds and failures: the webhook was changed."""
        self.held_until = 0
        self.record_success()

    def move_back(self, milliseconds: int) -> None:
        """Move the hold back with a clock that was set back."""
        self.held_until -= milliseconds

    def _double_hold(self) -> None:
        self._next_hold = min(self._next_hold * 2, LONGEST_HOLD)
