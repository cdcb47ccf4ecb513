"""Durations as text, such as ``250ms``, ``5s``, ``30m``, ``2h``, ``3d``."""

import re
from typing import Final

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND

_UNITS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION: Final = re.compile(r"(\d{1,10}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)


def parse_duration(text: object) -> int:
    """Return the milliseconds of a text such as ``250ms``, ``0.2s`` or ``2h``; ValueError says what was expected."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"expected a duration such as 250ms, 5s, 30m, 2h or 3d, got {str(text)!r}")
    return round(float(match[1]) * _UNITS[match[2]])


def to_duration(milliseconds: int) -> str:
    """Return milliseconds as text: ``250ms``, ``5s``, ``2h``."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
