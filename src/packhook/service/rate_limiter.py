"""Rate limits of requests, for each API key and for each organization with all its keys.

The generic cell rate algorithm (GCRA): for each of them one number, the theoretical arrival time of its next request
at an even rate. A burst of one second's worth is allowed; an earlier request is refused with the time to wait.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from packhook.core.errors import RateLimited
from packhook.settings import Settings

BURST_SECONDS: Final = 1.0
MAX_TRACKED: Final = 100_000


class RateLimiter:
    """Limit the requests of this node. ``seconds`` is a monotonic clock."""

    def __init__(self, settings: Settings, seconds: Callable[[], float] = time.monotonic) -> None:
        self._key_rate = settings.api_key_rate_limit
        self._organization_rate = settings.organization_rate_limit
        self._seconds = seconds
        self._next_arrival: dict[str, float] = {}

    def acquire(self, api_key_id: str | None, organization_id: str | None) -> None:
        """Count one request of this key and organization (None: unlimited). Raise RateLimited if it is too early."""
        if self._key_rate and api_key_id is not None:
            self._count(api_key_id, self._key_rate, "this API key")
        if self._organization_rate and organization_id is not None:
            self._count(organization_id, self._organization_rate, "this organization")

    def _count(self, name: str, rate: float, whose: str) -> None:
        now = self._seconds()
        arrival = max(self._next_arrival.get(name, 0.0), now)
        early = arrival - now - max(BURST_SECONDS, 1 / rate) + 1 / rate
        if early > 1e-9:
            raise RateLimited(f"{whose} may make {rate:g} requests a second", retry_after_seconds=math.ceil(early))
        if len(self._next_arrival) >= MAX_TRACKED:
            self._next_arrival = {other: at for other, at in self._next_arrival.items() if at > now}
        self._next_arrival[name] = arrival + 1 / rate
