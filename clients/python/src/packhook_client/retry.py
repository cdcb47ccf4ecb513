"""Decide whether a call is sent again, and when. Pure: time and chance are arguments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from packhook_client.call import Call
from packhook_client.errors import ApiError, ConnectionFailed, Overloaded, PackhookError, RateLimited

_TRANSIENT: Final = frozenset({408, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Say how often and how long a call is sent again.

    ``attempts``: at most so many requests, the first included. ``budget``: seconds for all of them with the waits
    between; a wait that would pass it is not begun. ``first_wait`` doubles with each attempt up to ``longest_wait``;
    the wait is a random part of that (full jitter), after what ``Retry-After`` asks for.
    """

    attempts: int = 5
    budget: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 10.0

    def wait(self, error: PackhookError, attempt: int, seconds_left: float, chance: float) -> float | None:
        """Return the seconds to wait after this attempt, the first is 1; None: the call has failed.

        ``chance`` is a random number from 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 60))
        asked = error.retry_after if isinstance(error, ApiError) else None
        wait = (asked or 0.0) + backoff * chance
        return wait if wait < seconds_left else None


DEFAULT_RETRY: Final = RetryPolicy()
NO_RETRY: Final = RetryPolicy(attempts=1)
"""Send each call once."""


def may_repeat(call: Call[Any], error: PackhookError) -> bool:
    """Return whether the call may be sent again after this error.

    What the node did not carry out always may. Where that is unknown, only a call that is repeatable may.
    """
    match error:
        case ConnectionFailed():
            return call.is_repeatable or not error.was_sent
        case RateLimited() | Overloaded():
            return True
        case ApiError():
            return call.is_repeatable and error.status in _TRANSIENT
        case _:
            return False


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait, given in seconds or as a date; None: nothing sensible.

    ``now`` is in seconds since 1970; the server's own ``Date``, if there is one, counts instead.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf
    at = _instant(text)
    if at is None:
        return None
    sent = _instant(headers.get("date", ""))
    return max(0.0, at - (now if sent is None else sent))


def _instant(text: str) -> float | None:
    """Return an HTTP date in seconds since 1970."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
