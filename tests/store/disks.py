"""Disks that are small or may only be read: real ones where we may mount, otherwise what is nearest to them."""

import ctypes
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

_READ_ONLY: Final = 1
_DETACH: Final = 2


@contextmanager
def _mounted(folder: Path, options: str, flags: int = 0) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()) != 0:
        pytest.skip(f"only root may mount a disk ({os.strerror(ctypes.get_errno())}): nothing was tested")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(folder), _DETACH)


class SmallDisk:
    """A folder with little room, and some to be made."""

    def __init__(self, folder: Path, ballast: Path | None) -> None:
        self.folder = folder
        self._ballast = ballast

    def make_room(self) -> None:
        """Let what did not fit fit."""
        if self._ballast is not None:
            self._ballast.unlink()
        else:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def tiny_disk(folder: Path, size: int = 4, taken: int = 3) -> Iterator[SmallDisk]:
    """A file system of so many MiB, most of it taken by a file that can go. Only root may mount one."""
    with _mounted(folder, f"size={size}m"):
        ballast = folder / "ballast"
        ballast.write_bytes(b"\0" * taken * 1024 * 1024)
        yield SmallDisk(folder, ballast)


@contextmanager
def small_files(folder: Path) -> Iterator[SmallDisk]:
    """A limit of 1 MiB to every file that this process writes: SQLite meets it like a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
    try:
        yield SmallDisk(folder, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder cannot be written in, by root neither."""
    if os.geteuid() == 0:
        with _mounted(folder, "size=64k", _READ_ONLY):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
