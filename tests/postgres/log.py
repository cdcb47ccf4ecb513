"""Count the statements that a server received, by its own log."""

from pathlib import Path
from urllib.parse import urlsplit


class Log:
    """Read the log of a server, for one database."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._mark = f"{urlsplit(url).path[1:]}|LOG:"

    def count(self) -> int:
        """Return the number of statements so far; each is a round trip."""
        lines = self._path.read_text("utf-8", "replace").splitlines()
        return sum(line.startswith(self._mark) and ("statement:" in line or "execute " in line) for line in lines)
