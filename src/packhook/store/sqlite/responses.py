"""Store responses to changes with their idempotency keys, and look them up."""

from collections.abc import Callable

import apsw

from packhook.core.errors import Conflict, RateLimited
from packhook.core.fairness import OF_THE_NODE
from packhook.core.idempotency import CONFLICT, FULL, MAX_STORED_RESPONSES, AlreadyAnswered, StoredResponse
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one
from packhook.store.sqlite.reader import Reader


class SqliteResponses:
    """See :class:`packhook.store.responses.ResponseStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    async def find(self, organization_id: str, key: str, fingerprint: bytes, stale_before: int) -> bytes | None:
        """See ResponseStore.find."""
        values = (organization_id, key, fingerprint, stale_before)
        return await self._reader().read_for(organization_id or OF_THE_NODE, find, *values)


def find(db: apsw.Connection, organization_id: str, key: str, fingerprint: bytes, stale_before: int) -> bytes | None:
    """See ResponseStore.find."""
    found = fetch_one(db, SQL["find_idempotency_key"], (organization_id, key, stale_before))
    if found is None:
        ((count,),) = fetch_all(db, SQL["count_stored_responses"], (organization_id, MAX_STORED_RESPONSES))
        if count >= MAX_STORED_RESPONSES:
            raise RateLimited(FULL)
        return None
    if found[0] != fingerprint:
        raise Conflict(CONFLICT)
    return bytes(found[1])


def store_response(db: apsw.Connection, response: StoredResponse, now: int) -> None:
    """Store the response to the change of this transaction. Raises AlreadyAnswered, which undoes the transaction."""
    values = (response.organization_id, response.key, response.fingerprint, response.content, now)
    if fetch_one(db, SQL["store_response"], (*values, response.stale_before)) is None:
        raise AlreadyAnswered
