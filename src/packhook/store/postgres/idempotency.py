"""Handle the idempotency keys of one batch of publishes: the first call with a key counts, others get its response."""

from collections.abc import Collection
from hashlib import sha256
from typing import Any, Final

import msgspec

from packhook.core.errors import Conflict, InvalidInput, NotFound, PackhookError, Unavailable
from packhook.core.idempotency import CONFLICT, meaning_of
from packhook.core.model import Event, Idempotency, PublishRequest, Receipt
from packhook.store import rows
from packhook.store.fan_out import PublishOutcome
from packhook.store.postgres.queries import SQL, Db, to_arrays

_COLUMNS: Final = 5

Key = tuple[str, str]
"""An organization, and an ``Idempotency-Key`` of it."""

StoredResponse = tuple[bytes, bytes]
"""The fingerprint of a request, and its receipts."""


class IdempotencyBatch:
    """Collect the responses that a batch stores, and look up those that were stored before."""

    def __init__(self) -> None:
        self._first: dict[Key, tuple[StoredResponse, int]] = {}
        self._alone: dict[Key, Event] = {}
        self._refused: set[Key] = set()
        self._written: Collection[Key] = ()
        self._before: dict[Key, StoredResponse] = {}
        self.stale_before = 0

    def add(self, request: PublishRequest, idempotency: Idempotency, receipts: tuple[Receipt, ...]) -> bool:
        """Return whether this is the first call with its key; then its response is to be stored."""
        key = request.organization_id, idempotency.key
        if key in self._first:
            return False
        response = idempotency.fingerprint, rows.receipts_to_bytes(receipts)
        self._first[key] = response, request.events[0].created_at
        if len(request.events) == 1:
            self._alone[key] = request.events[0]
        self.stale_before = min(idempotency.stale_before, self.stale_before or idempotency.stale_before)
        return True

    def add_refused(self, request: PublishRequest) -> None:
        """Take note of a call that is refused, unless its key came before: then it gets its first response."""
        if request.idempotency is not None:
            self._refused.add((request.organization_id, request.idempotency.key))

    def values(self) -> tuple[list[Any], ...]:
        """Return the values of ``insert_published``, in one order, so that no two batches deadlock."""
        return to_arrays([(*key, *response, at) for key, (response, at) in sorted(self._first.items())], _COLUMNS)

    async def look_up(self, db: Db, written: Collection[Key]) -> None:
        """Take note of the keys that were written, and look up the responses of the others, which came before."""
        self._written = written
        self._before = await _find(db, [key for key in {*self._first, *self._refused} if key not in written])
        for key, (fingerprint, receipts) in self._before.items():
            event = self._alone.get(key)
            if event is None or fingerprint == self._first[key][0][0]:
                continue
            if await _is_published_in_sql(db, event, fingerprint, receipts):
                self._before[key] = self._first[key][0][0], receipts

    async def find_written(self, db: Db) -> set[Key]:
        """Return which keys were written by this very batch: their stored response is its own."""
        found = await _find(db, list(self._first))
        return {key for key, response in found.items() if response == self._first[key][0]}

    def answer(
        self, request: PublishRequest, provisional: PublishOutcome | NotFound | InvalidInput | None
    ) -> PublishOutcome | PackhookError:
        """Return ``provisional`` if the call was the first with its key, otherwise the first response."""
        idempotency = request.idempotency
        if provisional is not None and (idempotency is None or isinstance(provisional, NotFound)):
            return provisional
        assert idempotency is not None  # noqa: S101 only a call with a key can have another before it
        key = request.organization_id, idempotency.key
        if isinstance(provisional, InvalidInput):
            response = self._before.get(key)
            is_repeated = response is not None and response[0] == idempotency.fingerprint
            return _decode(response[1]) if response is not None and is_repeated else provisional
        if provisional is not None and key in self._written:
            return provisional
        response = self._first[key][0] if key in self._written else self._before.get(key)
        if response is None:
            return Unavailable("an Idempotency-Key expired while it was used again")
        if response[0] != idempotency.fingerprint:
            return Conflict(CONFLICT)
        return _decode(response[1])


def _decode(receipts: bytes) -> PublishOutcome | Unavailable:
    """Return the stored receipts; a newer packhook may have written what this one cannot read."""
    try:
        return PublishOutcome(rows.receipts_from_bytes(receipts))
    except (msgspec.MsgspecError, TypeError) as error:
        return Unavailable(f"the stored response to this Idempotency-Key cannot be read: {error}")


async def _is_published_in_sql(db: Db, event: Event, fingerprint: bytes, receipts: bytes) -> bool:
    """Return whether ``packhook.publish()`` stored this fingerprint, for an event that means the same as this one."""
    try:
        (first,) = rows.receipts_from_bytes(receipts)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False  # of several events, or of a change
    row = await db.fetch_one(SQL["get_event"], event.organization_id, first.id)
    before = None if row is None else rows.EVENTS.read(row)
    if before is None or sha256(before.event_code.encode() + b"\0" + before.data).digest() != fingerprint:
        return False
    return before.event_code == event.event_code and meaning_of(before.data) == meaning_of(event.data)


async def _find(db: Db, keys: list[Key]) -> dict[Key, StoredResponse]:
    found = await db.fetch_all(SQL["find_idempotency_key"], *to_arrays(keys, 2)) if keys else []
    return {(row[0], row[1]): (row[2], row[3]) for row in found}
