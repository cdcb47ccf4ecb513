"""Define what the dashboard asks of a database, and what is promised; a part of ``base.Store``.

Cookies are stored as SHA-256 alone. A session that was ended on one node is unknown to all from then on.
"""

from typing import TYPE_CHECKING, Protocol

from packhook.store.search import SearchStore

if TYPE_CHECKING:
    from packhook.core.audit import AuditEntry
    from packhook.core.operator_session import OperatorSession


class DashboardStore(SearchStore, Protocol):
    """Keep the sessions of the dashboard, and search: part of a Store, whose promises hold here too."""

    async def begin_session(
        self, session: "OperatorSession", session_hash: bytes, entry: "AuditEntry", limit: int
    ) -> None:
        """Store a session. Those that end first make room, so that there are at most ``limit``."""
        ...

    async def find_session(self, session_hash: bytes, now: int) -> "OperatorSession | None":
        """Return the session with this hash, if it has not expired."""
        ...

    async def end_session(self, session_hash: bytes, entry: "AuditEntry") -> None:
        """Delete a session, on all nodes at once; nothing, and no audit entry, for an unknown one."""
        ...


class WithDashboard(Protocol):
    """Hold what the dashboard asks, as a part of the Store."""

    @property
    def dashboard(self) -> DashboardStore:
        """Return the part that knows the sessions of the dashboard."""
        ...
