"""Mount file systems in memory, for disks that are full or read-only. Only root may."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

READ_ONLY: Final = 1
_REMOUNT: Final = 32
_DETACH: Final = 2


def _mount(folder: Path, options: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def mounted(folder: Path, options: str, flags: int = 0) -> Iterator[None]:
    """Mount a file system on a folder. Raises OSError where that is not allowed."""
    _mount(folder, options, flags)
    try:
        yield
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(folder), _DETACH)


class ResizableDisk:
    """Control the size of a mounted file system."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._size = size

    def fill(self) -> None:
        """Make the disk as small as what is on it."""
        found = os.statvfs(self.folder)
        self._resize((found.f_blocks - found.f_bfree) * found.f_frsize)

    def make_room(self) -> None:
        """Give the disk its size again."""
        self._resize(self._size)

    def _resize(self, size: int) -> None:
        _mount(self.folder, f"size={size}", _REMOUNT)


@contextmanager
def resizable_disk(folder: Path, size: int) -> Iterator[ResizableDisk]:
    """Mount a file system of ``size`` bytes on a folder. Raises OSError where that is not allowed."""
    with mounted(folder, f"size={size}"):
        yield ResizableDisk(folder, size)
