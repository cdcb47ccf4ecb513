"""Define what portal sessions ask of a database, and what is promised, as ``base.py`` does for everything else.

Tokens are stored as SHA-256 alone. A link or session counts while it has not expired, its organization is there, and
the API key that made it was not revoked and has not expired.
"""

from typing import Protocol

from packhook.core.audit import AuditEntry
from packhook.core.portal import PortalSession


class PortalStore(Protocol):
    """Store portal sessions: part of a :class:`~packhook.store.base.Store`, whose promises hold here too."""

    async def create(self, session: PortalSession, link_hash: bytes, entry: AuditEntry, limit: int) -> None:
        """Create a link. The organization's oldest make room, so that it has at most ``limit``, also in a race.

        Raises NotFound where the organization is not there.
        """
        ...

    async def find_link(self, link_hash: bytes, now: int) -> PortalSession | None:
        """Return the link with this hash, if it counts and was not opened yet."""
        ...

    async def open(self, link_hash: bytes, session_hash: bytes, now: int, entry: AuditEntry) -> PortalSession | None:
        """Turn a link into a session with this hash, and return it; None where :meth:`find_link` finds none any more.

        Of many who open a link at once, one gets the session.
        """
        ...

    async def find_session(self, session_hash: bytes, now: int) -> PortalSession | None:
        """Return the opened session with this hash, if it counts."""
        ...

    async def end(self, session_hash: bytes) -> None:
        """Delete a session; nothing for an unknown one."""
        ...
