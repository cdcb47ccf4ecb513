"""Write and read where filters had no value for an event."""

from collections.abc import Callable, Sequence

import apsw
import msgspec

from packhook.core.health import FilterErrors
from packhook.store.filter_errors import FilterError, FilterErrorLog, values
from packhook.store.sqlite.queries import SQL, fetch_one
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer

_FIELDS = FilterErrors.__struct_fields__


class SqliteFilterErrors(FilterErrorLog):
    """See :class:`packhook.store.filter_errors.FilterErrorStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader], writer: Callable[[], Writer]) -> None:
        super().__init__(lambda errors: writer().write(record_filter_errors, errors))
        self._reader = reader

    async def of_webhook(self, organization_id: str, webhook_id: str) -> FilterErrors | None:
        """See FilterErrorStore.of_webhook."""
        return await self._reader().read_for(organization_id, get_filter_errors, organization_id, webhook_id)


def get_filter_errors(db: apsw.Connection, organization_id: str, webhook_id: str) -> FilterErrors | None:
    """See FilterErrorStore.of_webhook."""
    row = fetch_one(db, SQL["get_filter_errors"], (organization_id, webhook_id))
    return None if row is None else msgspec.convert(dict(zip(_FIELDS, row, strict=True)), FilterErrors)


def record_filter_errors(db: apsw.Connection, errors: Sequence[FilterError]) -> None:
    """Count errors."""
    db.executemany(SQL["record_filter_error"], values(errors))
