"""How much of published bodies this node holds, from their first byte to their answer; and whose they are.

An organization may hold as much as is still free (the dynamic threshold of shared buffers, as delivery/scheduler.py has
it for lanes): one alone at most half of the limit, two a third each. So there is room for others, whatever one does.
"""

from packhook.core.errors import Unavailable


class HeldBodies:
    """Counts bytes, ``limit`` of them in all; one body beyond that where it is the only one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._of: dict[str, int] = {}

    def take(self, organization_id: str, size: int, before: int) -> None:
        """So many bytes more of a body of which ``before`` are held; Unavailable where there is no room for them."""
        own = self._of.get(organization_id, 0)
        if own + size > self._limit - self._held and self._held > before:
            raise Unavailable("too many bytes of events are on their way in; come again", retry_after_seconds=1)
        if size:
            self._of[organization_id] = own + size
            self._held += size

    def give_back(self, organization_id: str, size: int) -> None:
        """So many bytes are held no more."""
        self._held -= size
        own = self._of[organization_id] - size
        if own:
            self._of[organization_id] = own
        else:
            del self._of[organization_id]


class Hold:
    """What is held of one body of this organization."""

    __slots__ = ("_bodies", "_organization_id", "_size")

    def __init__(self, bodies: HeldBodies, organization_id: str) -> None:
        self._bodies = bodies
        self._organization_id = organization_id
        self._size = 0

    def grow(self, size: int) -> None:
        """By so many bytes; Unavailable where there is no room for them."""
        self._bodies.take(self._organization_id, size, self._size)
        self._size += size

    def end(self) -> None:
        """It is answered, or will never be whole; nothing happens a second time."""
        if self._size:
            size, self._size = self._size, 0
            self._bodies.give_back(self._organization_id, size)
