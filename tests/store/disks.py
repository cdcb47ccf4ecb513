"""Make small and read-only disks: real ones where mounting is allowed, otherwise the nearest substitute."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.mounts import READ_ONLY, mounted


@contextmanager
def _mounted(folder: Path, options: str, flags: int = 0) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, options, flags))
        except OSError as error:
            pytest.skip(f"only root may mount a disk ({error.strerror}): nothing was tested")
        yield


class SmallDisk:
    """Represent a folder with little space, of which more can be freed."""

    def __init__(self, folder: Path, ballast: Path | None) -> None:
        self.folder = folder
        self._ballast = ballast

    def leave(self, room: int) -> None:
        """Take space until ``room`` bytes are left, for all files together or, under a limit, for the largest one."""
        if self._ballast is not None:
            free = os.statvfs(self.folder)
            with self._ballast.open("ab") as ballast:
                ballast.write(bytes(free.f_bavail * free.f_frsize - room))
        else:
            largest = max(path.stat().st_size for path in self.folder.iterdir())
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest + room, most))

    def make_room(self) -> None:
        """Free space, so that the next write succeeds."""
        if self._ballast is not None:
            self._ballast.unlink()
        else:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def tiny_disk(folder: Path, size: int = 8, taken: int = 0) -> Iterator[SmallDisk]:
    """Mount a file system of ``size`` MiB, ``taken`` of them used by a file that can be deleted. Requires root."""
    with _mounted(folder, f"size={size}m"):
        ballast = folder / "ballast"
        ballast.write_bytes(b"\0" * taken * 1024 * 1024)
        yield SmallDisk(folder, ballast)


@contextmanager
def small_files(folder: Path) -> Iterator[SmallDisk]:
    """Let the size of each file that this process writes be limited; SQLite reports that as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield SmallDisk(folder, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make the folder read-only, for root too."""
    if os.geteuid() == 0:
        with _mounted(folder, "size=64k", READ_ONLY):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
