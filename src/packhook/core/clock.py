"""Tell the time, and write and read it. Instants are integers: milliseconds since the Unix epoch (UTC)."""

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
_SINCE_START: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Clock(Protocol):
    """Tell the time. Code that needs it takes a clock as an argument, so that a test can own it."""

    def now(self) -> int:
        """Return the present instant, in milliseconds since the Unix epoch (UTC)."""
        ...

    def elapsed(self) -> int:
        """Return milliseconds since some instant, whatever the clock is set to; a sleep of the machine counts."""
        ...


class SystemClock:
    """Tell the time of the machine."""

    def now(self) -> int:
        """Return the present instant, in milliseconds since the Unix epoch (UTC)."""
        return _nanoseconds() // 1_000_000

    def elapsed(self) -> int:
        """Return the time since the machine started, in milliseconds."""
        return time.clock_gettime_ns(_SINCE_START) // 1_000_000


@lru_cache(256)
def to_rfc3339(instant: int) -> str:
    """Return an instant as RFC 3339 in UTC with milliseconds and ``Z``: ``2024-08-02T09:30:00.125Z``.

    Cached: an event's time is written for its publisher and each of its receivers within milliseconds.
    """
    seconds, milliseconds = divmod(instant, SECOND)
    return f"{_date_and_time(seconds)}.{milliseconds:03d}Z"


@lru_cache(64)
def _date_and_time(seconds: int) -> str:
    """Return the instant's text up to the seconds. Cached, because most instants lie within the last few seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def from_rfc3339(text: str) -> int:
    """Return the instant of an RFC 3339 text, in milliseconds; ValueError if it is not valid or past the year 9999."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("expected a time such as 2030-01-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)
