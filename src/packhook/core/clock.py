"""Time as an argument: what the clock of a node promises. Instants are integers, milliseconds since the Unix epoch."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_nanoseconds: Final = time.time_ns
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Clock(Protocol):
    """Tells the time. Whoever needs it takes one as an argument, so that a test can own it."""

    def now(self) -> int:
        """The present instant, in milliseconds since the Unix epoch (UTC)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """The present instant, in milliseconds since the Unix epoch (UTC)."""
        return _nanoseconds() // 1_000_000


@lru_cache(256)
def to_rfc3339(instant: int) -> str:
    """An instant as RFC 3339 in UTC with milliseconds and ``Z``: ``2024-08-02T09:30:00.125Z``.

    Kept, because an event's is told to its publisher and to each of its receivers within milliseconds.
    """
    seconds, milliseconds = divmod(instant, SECOND)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(64)
def _to_the_second(seconds: int) -> str:
    """Kept, because most instants that are told lie within the last few seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def from_rfc3339(text: str) -> int:
    """The instant that an RFC 3339 text names, in milliseconds; ValueError where it names none that can be told."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("expected a time such as 2030-01-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)
