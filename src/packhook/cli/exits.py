"""Exit codes, and which error ends the program with which."""

import sys
from contextlib import suppress
from enum import IntEnum
from typing import NoReturn

from packhook.core.errors import InvalidSettings, PackhookError, Unavailable
from packhook.core.text import visible_lines


class Exit(IntEnum):
    """Name the exit codes that a script can rely on."""

    DONE = 0
    FAILED = 1  # the request was carried out and did not succeed
    USAGE = 2  # wrong options or invalid input
    UNREACHABLE = 3  # no server, or a server that is unavailable
    DENIED = 4  # no key, a wrong key, or one that lacks the scope
    MISSING = 5  # not found, or a conflict with what is there


def exit_code(error: PackhookError) -> Exit:
    """Return the exit code of an error."""
    match error:
        case InvalidSettings():
            return Exit.USAGE
        case Unavailable():
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILED


def fail(message: str, code: Exit) -> NoReturn:
    """Print the lines of a message to standard error, and exit. If that is closed or full, only the code tells it."""
    say_aside(message)
    raise SystemExit(int(code))


def say_aside(message: str) -> None:
    """Print the lines of a message to standard error, if that can be written to."""
    if sys.stderr is not None:  # None: closed by the caller; print would use standard output
        with suppress(OSError, ValueError):
            print(visible_lines(message), file=sys.stderr, flush=True)  # noqa: T201 this is the command line
