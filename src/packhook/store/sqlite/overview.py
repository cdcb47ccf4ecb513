"""Implement the OverviewStore on SQLite: each method names its work; all of them read."""

from collections.abc import Callable

import apsw

from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.overview import Figures
from packhook.store import rows
from packhook.store.sqlite.queries import SQL, fetch_all
from packhook.store.sqlite.reader import Reader


class SqliteOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    async def figures(self, now: int) -> Figures:
        return await self._reader().read(_figures, now)


def _figures(db: apsw.Connection, now: int) -> Figures:
    due = fetch_all(db, SQL["count_due"], (now, FAILURES_TO_FAIL))
    return rows.figures(now, due, fetch_all(db, SQL["count_webhooks_by_condition"], (FAILURES_TO_FAIL,)))
