"""The ``RateLimit-*`` headers: how many requests a client has left, in each response to a key with a limit."""

from collections.abc import MutableMapping
from typing import Any, Final

from packhook.core.errors import Allowance

ALLOWANCE: Final = "packhook.allowance"
"""Where the scope of a request has what is left; absent: no limit, or no valid key."""

HEADERS: Final = {
    "RateLimit-Limit": "How many requests may be made at once.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "In how many seconds all of them are left again.",
}
"""With their meaning, in the order of an Allowance."""

_NAMES: Final = tuple(name.lower().encode() for name in HEADERS)


def note(scope: MutableMapping[str, Any], allowance: Allowance | None) -> None:
    """Note what is left, for the response."""
    if allowance is not None:
        scope[ALLOWANCE] = allowance


def header_lines(allowance: Allowance | None) -> list[tuple[bytes, bytes]]:
    """Return the headers, names in lower case; none for no limit."""
    return [] if allowance is None else [(name, b"%d" % number) for name, number in zip(_NAMES, allowance, strict=True)]
