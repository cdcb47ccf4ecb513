"""Choose the store for a database URL. The only module that names a dialect."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from packhook.core.clock import Clock
from packhook.core.errors import InvalidSettings
from packhook.core.overview import DatabaseState
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.config import StoreConfig
from packhook.store.postgres.schema import inspect_server
from packhook.store.postgres.store import PostgresStore
from packhook.store.postgres.url import parse
from packhook.store.sqlite import backup
from packhook.store.sqlite.inspection import inspect_file
from packhook.store.sqlite.store import SqliteStore

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


def open_store(settings: Settings, clock: Clock) -> Store:
    """Return the store that ``settings.database`` names, not yet opened. Raises InvalidSettings."""
    require_database_url(settings)
    url = settings.database
    config = StoreConfig(
        require_verification=settings.require_endpoint_verification,
        disable_after=settings.disable_after,
        operator_organization=settings.operator_organization,
    )
    if url.startswith(_SQLITE):
        return SqliteStore(url.removeprefix(_SQLITE), clock, config)
    return PostgresStore(url, clock, config)


async def inspect_database(settings: Settings) -> DatabaseState:
    """Return the state of the database, and change nothing. Raises Unavailable, SchemaTooNew or StartError.

    The settings have a valid database URL.
    """
    url = settings.database
    if url.startswith(_SQLITE):
        return inspect_file(url.removeprefix(_SQLITE))
    return await inspect_server(url)


def back_up(settings: Settings, target: Path) -> None:
    """Write a backup of the database to a new file. Raises InvalidSettings, StartError or Unavailable."""
    backup.back_up(_file(settings, "pg_dump"), target)


def restore(settings: Settings, file: Path) -> None:
    """Make the database, which must not exist, of a backup. Raises InvalidSettings, StartError or Unavailable."""
    backup.restore(file, _file(settings, "pg_restore"))


def abandoned(folder: Path) -> list[Path]:
    """Return the files in a folder that a killed backup or restore has left; the next one of that name deletes them."""
    return backup.abandoned(folder)


def _file(settings: Settings, instead: str) -> str:
    require_database_url(settings)
    if not settings.database.startswith(_SQLITE):
        raise InvalidSettings(f"database: expected sqlite:///PATH; PostgreSQL has tools of its own, such as {instead}")
    return str(Path(settings.database.removeprefix(_SQLITE)).resolve())


def require_database_url(settings: Settings) -> None:
    """Raise InvalidSettings where the URL names no database, or says something that packhook does not do."""
    url = settings.database
    if url.startswith(_POSTGRES):
        parse(url)
        return
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path:
        raise InvalidSettings(
            "database: expected sqlite:///PATH (sqlite:////ABSOLUTE/PATH) or postgresql://USER@HOST/NAME, "
            f"got {_kind(url)}"
        )
    if "?" in path or "#" in path or not path.isprintable():
        raise InvalidSettings("database: expected the path of a file, got one with parameters: packhook takes none")
    if path.startswith((":", "file:")):
        raise InvalidSettings(f"database: expected the path of a file, got {path!r}: packhook keeps events on disk")
    try:
        is_other = Path(path).exists() and not Path(path).is_file()
    except OSError as error:
        raise InvalidSettings(f"database: cannot use the file {path}: {error.strerror}") from None
    if is_other:
        raise InvalidSettings(f"database: expected the path of a file, got {path!r}, which is no file")


def _kind(url: str) -> str:
    """Return what is known of a URL that is not understood: any other part of it may be a password."""
    scheme, colon, _ = url.partition("://")
    return f"one of {scheme}://" if colon and scheme.isascii() and scheme.isalnum() else "a text without a scheme"


def shown(url: str) -> str:
    """Return a database URL as it may be shown: without user, password and parameters."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def require_many_nodes(settings: Settings) -> None:
    """Raise InvalidSettings for several nodes where the database serves one only, with what to use instead."""
    if settings.processes > 1 and settings.database.startswith("sqlite:"):
        raise InvalidSettings(
            f"processes: expected 1, got {settings.processes}: one SQLite file serves one process; "
            "for more, use --database postgresql://…"
        )
