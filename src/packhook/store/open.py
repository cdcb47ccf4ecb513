"""A database URL to its store. The only module that names a dialect."""

from packhook.core.clock import Clock
from packhook.core.errors import InvalidSettings
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.sqlite.store import SqliteStore


def open_store(settings: Settings, clock: Clock) -> Store:
    """The store that ``settings.database`` names, not yet opened. InvalidSettings for a URL it cannot be."""
    url = settings.database
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"), clock)
    raise InvalidSettings(f"database: expected sqlite:///PATH (sqlite:////ABSOLUTE/PATH), got {url.split('@')[-1]!r}")


def require_many_nodes(settings: Settings) -> None:
    """InvalidSettings where the database serves one process only, with what to use instead."""
    if settings.database.startswith("sqlite:"):
        raise InvalidSettings(
            f"processes: expected 1, got {settings.processes}: one SQLite file serves one process; "
            "for more, use --database postgresql://…"
        )
