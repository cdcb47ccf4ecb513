"""Validation rules for user input, one function each.

A rule returns the value as it is stored, or raises ValueError with the message that the user reads.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from packhook.core.clock import DAY, MINUTE, SECOND
from packhook.core.durations import parse_duration, to_duration
from packhook.core.endpoint import parse_endpoint
from packhook.core.filter_text import FilterRefused
from packhook.core.filters import compile_filter
from packhook.core.model import FULL, SCOPES, THIN
from packhook.core.portal import LONGEST, SHORTEST, Capability, capability_problem
from packhook.core.signatures.standard import secret_problem

MAX_RETENTION: Final = 36_500 * DAY
MAX_EVENT_PATTERNS: Final = 50
MAX_HEADERS: Final = 20
MAX_HEADER_LENGTH: Final = 4096
MAX_WAITS: Final = 20
MAX_WAIT: Final = 7 * DAY
MAX_OVERLAP: Final = 7 * DAY
MIN_RATE, MAX_RATE = 0.001, 10_000

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_RESERVED: Final = frozenset(
    {"connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)


def number_of_event_patterns(texts: list[Any]) -> None:
    """Raise ValueError for more than 50: before each is judged, which takes a search for the nearest code."""
    if len(texts) > MAX_EVENT_PATTERNS:
        raise ValueError(f"expected at most {MAX_EVENT_PATTERNS} event codes and patterns, got {len(texts)}")


def event_patterns(texts: list[str]) -> tuple[str, ...]:
    """Return 1 to 50 different event codes and patterns."""
    number_of_event_patterns(texts)
    if not texts:
        raise ValueError("expected at least one event code or pattern, got []; for `event_code` alone, name just that")
    repeated = [text for text, count in Counter(texts).items() if count > 1]
    if repeated:
        raise ValueError(f"expected different event codes and patterns, got {repeated[0]!r} more than once")
    return tuple(texts)


def filter_text(text: str) -> str:
    """Return a filter that can be compiled; the message says in which column it cannot."""
    try:
        if text:
            compile_filter(text)
    except FilterRefused as refused:
        raise ValueError(f"{_place(text, refused.at)}{refused}") from None
    return text


def payload(text: str) -> str:
    """Return how a webhook keeps what is sent of an event's data: ``full`` is the default, so it is kept as ""."""
    if text not in (FULL, THIN):
        raise ValueError(f"expected `{FULL}` or `{THIN}`")
    return "" if text == FULL else text


def _place(text: str, at: int | None) -> str:
    """Return a place in a text in words: its line, if there are several, and its column, from 1."""
    if at is None:
        return ""
    before = text[:at].split("\n")
    line = f"line {len(before)}, " if "\n" in text else ""
    return f"{line}column {len(before[-1]) + 1}: "


def endpoint(url: str, *, allow_http: bool) -> str:
    """Return the URL, parsed and rebuilt."""
    return parse_endpoint(url, allow_http=allow_http).url


def secret(text: str) -> str:
    """Accept 8 to 255 printable ASCII characters; ``whsec_`` and the base64 of 24 to 64 bytes."""
    problem = secret_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


def headers(value: Mapping[str, str]) -> dict[str, str]:
    """Return static request headers, names in lower case. Refuse names that packhook sets and values not in ASCII."""
    if len(value) > MAX_HEADERS:
        raise ValueError(f"expected at most {MAX_HEADERS} headers, got {len(value)}")
    accepted: dict[str, str] = {}
    for name, text in value.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if lower in _RESERVED or lower.startswith(("content-", "webhook-")):
            raise ValueError(f"the header {lower} is set by packhook itself")
        if lower in accepted:
            raise ValueError(f"the header {lower} is given twice")
        if not _VISIBLE.fullmatch(text) or len(text) > MAX_HEADER_LENGTH:
            raise ValueError(f"the value of {lower} must be visible ASCII, at most {MAX_HEADER_LENGTH} characters")
        accepted[lower] = text.strip()
    return accepted


def rate_limit(rate: float) -> float:
    """Accept deliveries per second; 0 is no limit."""
    if rate != 0 and not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"expected a number from {MIN_RATE} to {MAX_RATE}, or 0 for no limit")
    return float(rate)


def timeout_seconds(seconds: float) -> int:
    """Return the timeout of one attempt in milliseconds; 0 is the instance's."""
    if seconds != 0 and not 1 <= seconds <= 30:
        raise ValueError("expected a number from 1 to 30, or 0 for the instance's timeout")
    return round(seconds * SECOND)


def retry_schedule(waits: list[str]) -> tuple[int, ...]:
    """Return waits in milliseconds from texts such as ``5s``; an empty list is the instance's schedule."""
    if len(waits) > MAX_WAITS:
        raise ValueError(f"expected at most {MAX_WAITS} waits, got {len(waits)}")
    parsed = tuple(parse_duration(wait) for wait in waits)
    if any(wait > MAX_WAIT for wait in parsed):
        raise ValueError("expected waits of at most 7d each")
    return parsed


def overlap(text: str) -> int:
    """Return milliseconds from a text such as ``24h``, at most 7 days."""
    duration = parse_duration(text)
    if duration > MAX_OVERLAP:
        raise ValueError("expected a duration from 0s to 7d")
    return duration


def capabilities(value: list[Capability]) -> list[Capability]:
    """Accept what a portal session may do."""
    problem = capability_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def portal_lasting(text: str) -> int:
    """Return how long a portal session lasts, in milliseconds."""
    milliseconds = parse_duration(text)
    if not SHORTEST <= milliseconds <= LONGEST:
        raise ValueError(f"expected a duration from 5m to 24h, got {text!r}")
    return milliseconds


def retention(text: str) -> int | None:
    """Return milliseconds from a text such as ``90d``, at least a minute; empty is the instance's."""
    if not text:
        return None
    duration = parse_duration(text)
    if not MINUTE <= duration <= MAX_RETENTION:
        raise ValueError(f"expected a duration from 1m to {to_duration(MAX_RETENTION)}")
    return duration


def scopes(value: list[str]) -> tuple[str, ...]:
    """Return the scopes without duplicates, in the order of SCOPES. Refuse unknown ones and an empty list."""
    unknown = [scope for scope in value if scope not in SCOPES]
    if unknown or not value:
        raise ValueError(f"expected some of {', '.join(f'`{scope}`' for scope in SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in value)


def idempotency_key(text: str) -> str:
    """Accept 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(text):
        raise ValueError("expected 1 to 255 visible ASCII characters")
    return text
