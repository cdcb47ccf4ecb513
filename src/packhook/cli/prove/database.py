"""The database of the proof: a file, or one that was named."""

from pathlib import Path
from typing import Protocol


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


def database(url: str, folder: Path) -> Database:
    """The named one; without a name a new SQLite file in this folder."""
    return Given(url or f"sqlite:///{folder / 'packhook.db'}")
