"""Store responses to changes with their idempotency keys, and look them up."""

from packhook.core.errors import Conflict, RateLimited
from packhook.core.fairness import OF_THE_NODE
from packhook.core.idempotency import CONFLICT, FULL, MAX_STORED_RESPONSES, AlreadyAnswered, StoredResponse
from packhook.store.postgres.queries import SQL, Db, RunFor, has_no_nul


class PostgresResponses:
    """See :class:`packhook.store.responses.ResponseStore` for every promise."""

    def __init__(self, read: RunFor) -> None:
        self._read = read

    async def find(self, organization_id: str, key: str, fingerprint: bytes, stale_before: int) -> bytes | None:
        """See ResponseStore.find."""
        values = (organization_id, key, fingerprint, stale_before)
        return await self._read(organization_id or OF_THE_NODE, find, *values)


async def find(db: Db, organization_id: str, key: str, fingerprint: bytes, stale_before: int) -> bytes | None:
    """See ResponseStore.find."""
    known = has_no_nul(organization_id, key)
    for _, _, stored, response, created_at in (
        await db.fetch_all(SQL["find_idempotency_key"], [organization_id], [key]) if known else ()
    ):
        if created_at >= stale_before:
            if stored != fingerprint:
                raise Conflict(CONFLICT)
            return bytes(response)
    ((count,),) = (
        await db.fetch_all(SQL["count_stored_responses"], organization_id, MAX_STORED_RESPONSES) if known else ((0,),)
    )
    if count >= MAX_STORED_RESPONSES:
        raise RateLimited(FULL)
    return None


async def store_response(db: Db, response: StoredResponse, now: int) -> None:
    """Store the response to the change of this transaction. Raises AlreadyAnswered, which undoes the transaction.

    Of two nodes with the same key the second waits for the first.
    """
    values = (response.organization_id, response.key, response.fingerprint, response.content, now)
    if await db.fetch_one(SQL["store_response"], *values, response.stale_before) is None:
        raise AlreadyAnswered
