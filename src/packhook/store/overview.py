"""Define what the operator asks of a database about all organizations together; a part of ``base.Store``."""

from typing import Protocol

from packhook.core.overview import Figures
from packhook.telemetry.counts import StoreCounts


class OverviewStore(Protocol):
    """Read what is true of the whole instance. Takes no organization."""

    async def figures(self, now: int) -> Figures:
        """Count what is due, and the webhooks. The cost grows with both, so callers keep the result for a while."""
        ...


class WithOverview(Protocol):
    """Read for the operator, and count what this store has done since it was made."""

    counts: StoreCounts

    @property
    def overview(self) -> OverviewStore:
        """Return the part that reads for the operator."""
        ...
