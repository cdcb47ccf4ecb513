"""Write and read where filters had no value for an event."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from packhook.core.health import FilterErrors
from packhook.store.filter_errors import FilterError, FilterErrorLog, values
from packhook.store.postgres.queries import SQL, Db, has_no_nul, to_arrays

_FIELDS = FilterErrors.__struct_fields__


class PostgresFilterErrors(FilterErrorLog):
    """See :class:`packhook.store.filter_errors.FilterErrorStore` for every promise."""

    def __init__(self, read_for: Callable[..., Awaitable[Any]], write: Callable[..., Awaitable[None]]) -> None:
        super().__init__(lambda errors: write(record_filter_errors, errors))
        self._read_for = read_for

    async def of_webhook(self, organization_id: str, webhook_id: str) -> FilterErrors | None:
        """See FilterErrorStore.of_webhook."""
        found: FilterErrors | None = await self._read_for(
            organization_id, get_filter_errors, organization_id, webhook_id
        )
        return found


async def get_filter_errors(db: Db, organization_id: str, webhook_id: str) -> FilterErrors | None:
    """See FilterErrorStore.of_webhook."""
    known = has_no_nul(organization_id, webhook_id)
    row = await db.fetch_one(SQL["get_filter_errors"], organization_id, webhook_id) if known else None
    return None if row is None else msgspec.convert(dict(zip(_FIELDS, row, strict=True)), FilterErrors)


async def record_filter_errors(db: Db, errors: Sequence[FilterError]) -> None:
    """Count errors."""
    await db.fetch_all(SQL["record_filter_error"], *to_arrays(values(errors), 7))
