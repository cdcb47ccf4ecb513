"""Times as people write them: ``2h`` (ago), ``yesterday``, a date, a local time, or RFC 3339."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from packhook.core.clock import SECOND, SystemClock, from_rfc3339
from packhook.core.durations import parse_duration

HINT: Final = "RFC 3339, or 2h (ago), yesterday, 2026-11-30 in local time."
_DAYS_AGO: Final = {"today": 0, "yesterday": 1}


def parse_time(text: str, now: int, zone: tzinfo | None = None) -> int:
    """Return the instant of a time in milliseconds; ValueError if it is none.

    A time without a zone is in ``zone`` (None: the machine's). Days begin at midnight there.
    """
    words = text.strip()
    try:
        return _instant(words, now, zone)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"expected a time such as 2h (ago), yesterday, 2026-11-30 or 2026-11-30T09:30:00Z, got {text[:50]!r}"
        ) from None


def parse_utc_time(text: str) -> int:
    """Return the instant of a time in a request: relative ones are to the node's clock, and days are of UTC."""
    return parse_time(text, SystemClock().now(), UTC)


def _instant(words: str, now: int, zone: tzinfo | None) -> int:
    lower = words.lower()
    if lower == "now":
        return now
    if lower in _DAYS_AGO:
        day = datetime.fromtimestamp(now / SECOND, zone).date() - timedelta(days=_DAYS_AGO[lower])
        return _milliseconds(datetime.combine(day, time(tzinfo=zone)))
    try:
        return now - parse_duration(lower.removesuffix(" ago"))
    except ValueError:
        pass
    try:
        return from_rfc3339(words)
    except ValueError:
        moment = datetime.fromisoformat(words)
        return _milliseconds(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * SECOND)
