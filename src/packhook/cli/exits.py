"""Exit codes that mean something, and how trouble becomes one."""

import sys
from enum import IntEnum
from typing import NoReturn

from packhook.core.errors import InvalidSettings, PackhookError, Unavailable


class Exit(IntEnum):
    """What a script can tell from the exit code."""

    DONE = 0
    FAILED = 1  # what was asked for was tried and did not succeed
    USAGE = 2  # wrong options or invalid input
    UNREACHABLE = 3  # no server, or one that cannot do it now
    DENIED = 4  # no key, a wrong one, or one that lacks the scope
    MISSING = 5  # no such thing, or it contradicts what is there


def exit_code(error: PackhookError) -> Exit:
    """What an error of ours ends the program with."""
    match error:
        case InvalidSettings():
            return Exit.USAGE
        case Unavailable():
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILED


def fail(message: str, code: Exit) -> NoReturn:
    """Say what is wrong on standard error, and end."""
    print(message, file=sys.stderr)  # noqa: T201 this is the command line
    raise SystemExit(int(code))
