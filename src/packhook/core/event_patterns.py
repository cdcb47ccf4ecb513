"""Decide which event codes a pattern covers. A pattern is an event code itself, ``order.*``, or ``*``."""

import re
from collections.abc import Iterable
from typing import Final

from packhook.core.operational_data import DATA_OF

EVERY: Final = "*"
"""Covers every event code but those of operational events, which are covered only where they are named."""

OPERATIONAL_CODES: Final = frozenset(DATA_OF)
_PATTERN: Final = re.compile(r"\*|([a-z][a-z0-9_]*\.)([a-z0-9_]+\.)*\*", re.ASCII)


def is_pattern(text: str) -> bool:
    """Return whether a text is ``*``, or the beginning of event codes and ``.*``."""
    return _PATTERN.fullmatch(text) is not None


def covers(pattern: str, event_code: str) -> bool:
    """Return whether a pattern covers an event code."""
    if pattern == EVERY:
        return event_code not in OPERATIONAL_CODES
    if pattern.endswith(".*"):
        return event_code.startswith(pattern[:-1])
    return pattern == event_code


def any_covers(patterns: Iterable[str], event_code: str) -> bool:
    """Return whether one of the patterns covers an event code."""
    return any(covers(pattern, event_code) for pattern in patterns)
