"""Statistics: what attempts came to over time, of one webhook or of all."""

from itertools import chain

from msgspec import Struct

from packhook.core import statistics
from packhook.core.clock import Clock
from packhook.core.statistics import Summary
from packhook.store.base import Store


class Chart(Struct, frozen=True, kw_only=True):
    """Hold a series for a chart: a summary for each step, also for those without attempts, and one of all."""

    step: int
    until: int
    points: tuple[Summary, ...]
    total: Summary


class Statistics:
    """Read the counts of attempts as series."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of_webhook(
        self, organization_id: str, webhook_id: str, since: int | None, until: int | None, step: int | None
    ) -> Chart:
        """Return a webhook's series; see ``core.statistics.series``. Raise NotFound or InvalidInput."""
        await self._store.get_webhook(organization_id, webhook_id)
        return await self._chart(webhook_id, since, until, step)

    async def of_instance(self, since: int | None, until: int | None, step: int | None) -> Chart:
        """Return the same over all webhooks, also those that were deleted since."""
        return await self._chart(None, since, until, step)

    async def sum_of_instance(self, since: int, until: int) -> Summary:
        """Return what attempts of all webhooks came to, from the bucket of ``since`` on and before ``until``."""
        begin = statistics.begin_of(since, self._clock.now())
        counts = await self._store.attempt_counts(None, (begin,), until)
        return statistics.summarize(begin, counts.get(begin, ()))

    async def _chart(self, webhook_id: str | None, since: int | None, until: int | None, step: int | None) -> Chart:
        series = statistics.series(since, until, step, self._clock.now())
        counts = await self._store.attempt_counts(webhook_id, series.steps, series.until)
        points = [statistics.summarize(start, counts.get(start, ())) for start in series.steps]
        total = statistics.summarize(series.steps.start, chain.from_iterable(counts.values()))
        return Chart(step=series.step, until=series.until, points=tuple(points), total=total)
