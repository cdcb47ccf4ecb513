"""Replace a file as a whole: a crash leaves the text before or this one."""

import os
from pathlib import Path


def replace_file(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a text to a file of its own, then give that the file's name. OSError if it cannot be written.

    ``mode`` is for the new file, less what the umask takes: a private file is private from its first byte.
    """
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
