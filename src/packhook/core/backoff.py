"""When to try again: the schedule, its jitter, and what ``Retry-After`` asks for. All times are milliseconds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from packhook.core.clock import DAY, SECOND

LONGEST_RETRY_AFTER: Final = DAY


def wait_after(schedule: Sequence[int], failures: int, jitter: float, chance: float) -> int | None:
    """How long to wait after the ``failures``-th failed attempt (from 1) of a schedule; None: it is used up.

    ``chance`` in [0, 1) spreads the wait evenly over ``1 - jitter`` to ``1 + jitter`` times the step.
    """
    if not 1 <= failures <= len(schedule):
        return None
    return round(schedule[failures - 1] * (1 + jitter * (2 * chance - 1)))


def times_to_come(schedule: Sequence[int], failures: int, next_attempt_at: int) -> tuple[int, ...]:
    """The instants still to come if every attempt fails, without jitter: the next one first."""
    times = [next_attempt_at]
    for wait in schedule[failures:]:
        times.append(times[-1] + wait)
    return tuple(times)


def retry_after(value: str, now: int) -> int | None:
    """How long a ``Retry-After`` asks to wait (RFC 9110, 10.2.3: seconds or a date), 0 to 24 h; None: unreadable."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0") or "0"
        return LONGEST_RETRY_AFTER if len(digits) > 9 else min(int(digits) * SECOND, LONGEST_RETRY_AFTER)
    moment = _date(text)
    return None if moment is None else max(0, min(round(moment.timestamp() * SECOND) - now, LONGEST_RETRY_AFTER))


def _date(text: str) -> datetime | None:
    """Any of the three date forms of RFC 9110, 5.6.7."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
