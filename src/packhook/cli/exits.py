"""Exit codes that mean something, and how trouble becomes one."""

import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """What a script can tell from the exit code."""

    DONE = 0
    FAILED = 1  # what was asked for was tried and did not succeed
    USAGE = 2  # wrong options or invalid input
    UNREACHABLE = 3  # no server, or one that cannot do it now
    DENIED = 4  # no key, a wrong one, or one that lacks the scope
    MISSING = 5  # no such thing, or it contradicts what is there


def fail(message: str, code: Exit) -> NoReturn:
    """Say what is wrong on standard error, and end."""
    print(message, file=sys.stderr)  # noqa: T201 this is the command line
    raise SystemExit(int(code))
