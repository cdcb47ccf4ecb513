"""Implement the OverviewStore on PostgreSQL: each method names its work; all of them read."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.overview import Figures
from packhook.store import rows
from packhook.store.postgres.queries import SQL, Db

T = TypeVar("T")


class _Read(Protocol):
    """Run work on a connection for reads, with the arguments that follow."""

    def __call__(self, work: Callable[..., Awaitable[T]], *args: Any) -> Awaitable[T]:  # noqa: ANN401 the work's own
        """Return the result of the work."""
        ...


class PostgresOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, read: _Read) -> None:
        self._read = read

    async def figures(self, now: int) -> Figures:
        return await self._read(read_figures, now)


async def read_figures(db: Db, now: int) -> Figures:
    """See OverviewStore.figures."""
    due = await db.fetch_all(SQL["count_due"], now, FAILURES_TO_FAIL)
    webhooks = await db.fetch_all(SQL["count_webhooks_by_condition"], FAILURES_TO_FAIL)
    return rows.figures(now, due, webhooks, max(1, (await db.fetch_all(SQL["count_nodes"]))[0][0]))
