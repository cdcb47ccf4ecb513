"""Read a file or standard input, within a limit; replace a file as a whole."""

import errno
import os
import sys
from pathlib import Path
from typing import Final

from packhook import files
from packhook.cli.exits import Exit, fail

STANDARD_INPUT: Final = "-"


def named(file: str) -> str:
    """Return a file's name for people."""
    return "standard input" if file == STANDARD_INPUT else file


def read_file(file: str, most_bytes: int, option: str = "") -> bytes:
    """Return the bytes of a file, or for ``-`` of standard input. Exit with a message if that fails, or they are more.

    ``option`` is what named the file, for the message.
    """
    start = f"{option}: " if option else ""
    try:
        if file == STANDARD_INPUT:
            content = sys.stdin.buffer.read(most_bytes + 1)
        else:
            content = files.read_file(file, most_bytes, seconds=None)
    except OSError as error:
        fail(f"{start}cannot read {named(file)}: {error.strerror}", Exit.USAGE)
    if len(content) > most_bytes:
        fail(f"{start}{named(file)} is longer than {most_bytes} bytes", Exit.USAGE)
    return content


def read_text(file: str, most_bytes: int, option: str = "") -> str:
    """Return the text of a file, or of standard input, without a byte order mark. Exit with a message as above."""
    try:
        return read_file(file, most_bytes, option).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(f"{f'{option}: ' if option else ''}{named(file)} is not UTF-8: byte {error.start}", Exit.USAGE)


def replace_file(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a text to a file of its own, then give that the file's name. OSError if it cannot be written.

    A crash leaves the text before or this one. A link stays one; what is no file, such as a device, is not replaced.

    ``mode`` is for the new file, less what the umask takes: a private file is private from its first byte.
    """
    file = Path(os.path.realpath(file))
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123 a descriptor
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
