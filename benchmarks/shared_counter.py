"""Share a number between the processes of a benchmark: one writes it, the others read it without a system call."""

import mmap
from pathlib import Path
from typing import Final

_SIZE: Final = 8


class SharedCounter:
    """Map a number that lives in a file; the first process to open the file creates it at zero."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_SIZE))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _SIZE)

    @property
    def value(self) -> int:
        """Return the value that was set last."""
        return int.from_bytes(self._map[:_SIZE], "little")

    @value.setter
    def value(self, value: int) -> None:
        self._map[:_SIZE] = value.to_bytes(_SIZE, "little")
