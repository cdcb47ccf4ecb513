"""Define what packhook asks of a database about attempts over time; a part of ``base.Store``."""

from collections.abc import Sequence
from typing import Protocol

from packhook.core.statistics import AttemptCount


class StatisticsStore(Protocol):
    """Read counts, at a cost that does not grow with attempts."""

    async def attempt_counts(
        self, webhook_id: str | None, steps: Sequence[int], until: int
    ) -> dict[int, tuple[AttemptCount, ...]]:
        """Return what attempts came to, of a webhook or (None) of all, by step. Takes no organization.

        ``steps`` are ascending instants; each step ends where the next one begins, the last one at ``until``. An
        attempt counts in the bucket in which it ended, a bucket in the step in which it begins. Steps without attempts
        are absent. Counts are written with the attempts that they count, and kept for KEPT_FOR.
        """
        ...
