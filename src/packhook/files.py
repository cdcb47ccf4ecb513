"""Read a file that a setting or an option names: within a limit, and without waiting for what never comes.

A name may mean anything. A pipe of the shell's ``<(…)`` is read; a device without an end, and a pipe without a writer,
are errors.
"""

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final

MAX_SETTING_BYTES: Final = 64 * 1024
"""Of a file of settings, of one secret, of keys."""
SETTING_SECONDS: Final = 10.0
"""How long a pipe may take that has a setting's value."""
WRITER_SECONDS: Final = 2.0
"""How long a named pipe may have no writer."""
_CHUNK: Final = 256 * 1024
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class OpenToOthers(PermissionError):
    """Report a file of secrets that others than its owner may use; ``mode`` is its permissions."""

    def __init__(self, mode: int) -> None:
        super().__init__(errno.EACCES, f"others can read or write it, its mode is {mode:04o}")
        self.mode: Final = mode


def read_file(
    path: str | Path,
    most_bytes: int = MAX_SETTING_BYTES,
    seconds: float | None = SETTING_SECONDS,
    *,
    is_private: bool = False,
) -> bytes:
    """Return what is in a file. OSError says in its ``strerror`` what is wrong, also that there are more bytes.

    ``seconds``: how long a pipe may take; None is as long as somebody can write to it. ``is_private``: OpenToOthers
    if others than the owner may use the file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if is_private:
            _require_private(mode)
        content = _read(descriptor, most_bytes, seconds)
        if not content and stat.S_ISFIFO(mode):
            raise OSError(errno.EPIPE, "it is a pipe without a writer")
        return content
    finally:
        os.close(descriptor)


def require_regular(path: Path, most_bytes: int, *, is_private: bool = False) -> None:
    """Raise OSError unless a library may read this file: it would wait for a pipe, and has no limit."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if is_private:
        _require_private(found.st_mode)
    if found.st_size > most_bytes:
        raise _too_large(most_bytes)
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def _require_private(mode: int) -> None:
    if mode & _OF_OTHERS:
        raise OpenToOthers(stat.S_IMODE(mode))


def _read(descriptor: int, most_bytes: int, seconds: float | None) -> bytes:
    end = None if seconds is None else time.monotonic() + seconds
    readable = select.poll()
    readable.register(descriptor, select.POLLIN)
    content = bytearray()
    while len(content) <= most_bytes:
        if end is not None and time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, f"it takes longer than {seconds:g} s to read")
        readable.poll(1_000 * WRITER_SECONDS)
        try:
            chunk = os.read(descriptor, min(_CHUNK, most_bytes + 1 - len(content)))
        except BlockingIOError:  # somebody may write, and has not yet
            continue
        if not chunk:
            return bytes(content)
        content += chunk
    raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {most_bytes} bytes")
