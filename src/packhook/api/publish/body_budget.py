"""Limit the bytes of published bodies that a node buffers, from their first byte to their response.

An organization may buffer as much as is still free (the dynamic threshold of shared buffers, which
delivery/scheduler.py uses for lanes): one alone gets at most half of the limit, two get a third each. Whatever one
organization does, there is room for others.
"""

from typing import Self

from packhook.core.errors import Unavailable


class BodyBudget:
    """Count buffered bytes, at most ``limit`` of them. A single body may exceed the limit while it is the only one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._used_by: dict[str, int] = {}

    def acquire(self, organization_id: str, size: int, held: int) -> None:
        """Add ``size`` bytes to a body of which ``held`` bytes are counted; Unavailable if there is no room."""
        own = self._used_by.get(organization_id, 0)
        if own + size > self._limit - self._used and self._used > held:
            raise Unavailable("too many bytes of events are being received; try again", retry_after_seconds=1)
        if size:
            self._used_by[organization_id] = own + size
            self._used += size

    def release(self, organization_id: str, size: int) -> None:
        """Return ``size`` bytes."""
        self._used -= size
        own = self._used_by[organization_id] - size
        if own:
            self._used_by[organization_id] = own
        else:
            del self._used_by[organization_id]


class Reservation:
    """Hold the bytes of one body; leaving the ``with`` block returns them."""

    __slots__ = ("_budget", "_organization_id", "_size")

    def __init__(self, budget: BodyBudget, organization_id: str) -> None:
        self._budget = budget
        self._organization_id = organization_id
        self._size = 0

    def grow(self, size: int) -> None:
        """Reserve ``size`` more bytes; Unavailable if there is no room."""
        self._budget.acquire(self._organization_id, size, self._size)
        self._size += size

    def release(self) -> None:
        """Return the bytes; a second call does nothing."""
        if self._size:
            size, self._size = self._size, 0
            self._budget.release(self._organization_id, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
