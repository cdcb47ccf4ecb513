"""Share a bounded resource between organizations, so that none can take all of it.

An organization may use as much as is still free (the dynamic threshold of shared buffers): one alone gets at most half
of the limit, two get a third each. Whatever one organization does, there is room for the others.
"""

from typing import Self

from packhook.core.errors import Overloaded


class FairShare:
    """Count what is in use, at most ``limit`` units. A request that is the only one may use the whole limit.

    ``refusal`` is the detail of the error for a request that gets no room.
    """

    def __init__(self, limit: int, refusal: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._used = 0
        self._used_by: dict[str, int] = {}

    def reserve(self, organization_id: str) -> "Reservation":
        """Return an empty reservation of this organization."""
        return Reservation(self, organization_id)

    def acquire(self, organization_id: str, size: int, held: int) -> None:
        """Add ``size`` units to a request that holds ``held`` units; raise Overloaded if there is no room."""
        if not self.try_acquire(organization_id, size, held):
            raise Overloaded(self._refusal)

    def try_acquire(self, organization_id: str, size: int = 1, held: int = 0) -> bool:
        """Do the same; return False if there is no room."""
        own = self._used_by.get(organization_id, 0)
        if own + size > self._limit - self._used and self._used > held:
            return False
        if size:
            self._used_by[organization_id] = own + size
            self._used += size
        return True

    def used_by(self, organization_id: str) -> int:
        """Return the units that an organization has in use."""
        return self._used_by.get(organization_id, 0)

    def largest(self) -> str | None:
        """Return the organization with the most units in use; None if there is none."""
        return max(self._used_by, key=self._used_by.__getitem__, default=None)

    def release(self, organization_id: str, size: int = 1) -> None:
        """Return ``size`` units."""
        self._used -= size
        own = self._used_by[organization_id] - size
        if own:
            self._used_by[organization_id] = own
        else:
            del self._used_by[organization_id]


class Reservation:
    """Hold the units of one request; leaving the ``with`` block returns them."""

    __slots__ = ("_organization_id", "_share", "_size")

    def __init__(self, share: FairShare, organization_id: str) -> None:
        self._share = share
        self._organization_id = organization_id
        self._size = 0

    def grow(self, size: int) -> None:
        """Reserve ``size`` more units; raise Overloaded if there is no room."""
        self._share.acquire(self._organization_id, size, self._size)
        self._size += size

    def release(self) -> None:
        """Return the units; a second call does nothing."""
        if self._size:
            size, self._size = self._size, 0
            self._share.release(self._organization_id, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
