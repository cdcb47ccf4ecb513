"""The idempotency keys of one batch of publish calls: the first call with a key counts, others are answered like it."""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from packhook.core.errors import Conflict, NotFound, PackhookError, Unavailable
from packhook.core.model import Idempotency, PublishRequest, Receipt
from packhook.store import rows
from packhook.store.leasing import Published
from packhook.store.postgres.asking import SQL, Db, columns

COLUMNS: Final = 5

Key = tuple[str, str]
"""An organization, and an ``Idempotency-Key`` of it."""

Memory = tuple[bytes, bytes]
"""What is remembered of a call: the request's fingerprint, and the answer."""


class Keys:
    """What is to be remembered of a batch, and what was remembered before."""

    def __init__(self) -> None:
        self._first: dict[Key, tuple[Memory, int]] = {}
        self._written: Collection[Key] = ()
        self._before: dict[Key, Memory] = {}
        self.stale_before = 0

    def add(self, publication: PublishRequest, asked: Idempotency, receipts: tuple[Receipt, ...]) -> bool:
        """Whether it is the first with its key; then it is to be remembered."""
        key = publication.organization_id, asked.key
        if key in self._first:
            return False
        memory = asked.fingerprint, rows.receipts_to_bytes(receipts)
        self._first[key] = memory, publication.events[0].created_at
        self.stale_before = min(asked.stale_before, self.stale_before or asked.stale_before)
        return True

    def values(self) -> tuple[list[Any], ...]:
        """For insert_published; in order, so that nobody waits in a circle."""
        return columns([(*key, *memory, at) for key, (memory, at) in sorted(self._first.items())], COLUMNS)

    async def look_up(self, db: Db, written: Collection[Key]) -> None:
        """These were written; what is remembered of the others, which came before."""
        self._written = written
        self._before = await _found(db, [key for key in self._first if key not in written])

    async def seek_own(self, db: Db) -> set[Key]:
        """Which of them were written by this very batch: they are remembered as it would have them."""
        found = await _found(db, list(self._first))
        return {key for key, memory in found.items() if memory == self._first[key][0]}

    def answer(self, publication: PublishRequest, taken: Published | NotFound | None) -> Published | PackhookError:
        """``taken``, if it was the first with its key; otherwise what the first was answered, to the same request."""
        asked = publication.idempotency
        if taken is not None and (asked is None or isinstance(taken, NotFound)):
            return taken
        assert asked is not None  # noqa: S101 only what has a key can have another before it
        key = publication.organization_id, asked.key
        if taken is not None and key in self._written:
            return taken
        memory = self._first[key][0] if key in self._written else self._before.get(key)
        if memory is None:
            return Unavailable("an Idempotency-Key was swept while it came again")
        if memory[0] != asked.fingerprint:
            return Conflict("this Idempotency-Key came with another body before")
        return _answered(memory[1])


def _answered(receipts: bytes) -> Published | Unavailable:
    """As it was; a newer packhook may have written more than this one can read."""
    try:
        return Published(rows.receipts_from_bytes(receipts))
    except (msgspec.MsgspecError, TypeError) as error:
        return Unavailable(f"what was answered to this Idempotency-Key cannot be read: {error}")


async def _found(db: Db, keys: list[Key]) -> dict[Key, Memory]:
    found = await db.all(SQL["find_idempotency_key"], *columns(keys, 2)) if keys else []
    return {(row[0], row[1]): (row[2], row[3]) for row in found}
