"""How many requests a second a key, and an organization with all its keys, may make.

The generic cell rate algorithm (GCRA): for each of them one number, the instant at which its next request would be due
if they came evenly. A second's worth may come at once; what comes earlier is told when to come again.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from packhook.core.errors import RateLimited
from packhook.settings import Settings

BURST_SECONDS: Final = 1.0
MOST_KEPT: Final = 100_000


class Limits:
    """Counts on this node alone; ``seconds`` is a monotonic clock."""

    def __init__(self, settings: Settings, seconds: Callable[[], float] = time.monotonic) -> None:
        self._key_rate = settings.api_key_rate_limit
        self._organization_rate = settings.organization_rate_limit
        self._seconds = seconds
        self._due: dict[str, float] = {}

    def take(self, api_key_id: str | None, organization_id: str | None) -> None:
        """Count one request of this key, of this organization; RateLimited where it comes too early. None: no limit."""
        if self._key_rate and api_key_id is not None:
            self._count(api_key_id, self._key_rate, "this API key")
        if self._organization_rate and organization_id is not None:
            self._count(organization_id, self._organization_rate, "this organization")

    def _count(self, name: str, rate: float, whose: str) -> None:
        now = self._seconds()
        due = max(self._due.get(name, 0.0), now)
        early = due - now - max(BURST_SECONDS, 1 / rate) + 1 / rate
        if early > 1e-9:
            raise RateLimited(f"{whose} may make {rate:g} requests a second", retry_after_seconds=math.ceil(early))
        if len(self._due) >= MOST_KEPT:
            self._due = {each: at for each, at in self._due.items() if at > now}
        self._due[name] = due + 1 / rate
