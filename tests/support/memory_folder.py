"""Keep the temporary files of tests in memory: they make thousands of small databases, and a disk is slow to do so."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 a file system, not a file in it
_LEAST_FREE: Final = 6 * 1024**3
"""What the servers of five workers may need at once, with a margin."""


def make() -> Path | None:
    """Make a folder in memory and use it for all temporary files, also of processes that are started.

    Return None, and change nothing, where there is no such file system, where it is small, or where TMPDIR is set.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    if shutil.disk_usage(_MEMORY).free < _LEAST_FREE:
        return None
    folder = Path(tempfile.mkdtemp(prefix="packhook-tests-", dir=_MEMORY))
    folder.chmod(0o711)  # PostgreSQL runs as another user
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def remove(folder: Path) -> None:
    """Remove the folder with all that tests left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.pop("TMPDIR", None)
    tempfile.tempdir = None
