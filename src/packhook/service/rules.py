"""The rules for what a user writes, one function for each: it returns the value as it is kept, or raises ValueError.

The message of the ValueError is what the user reads.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final

from packhook.core.clock import DAY, SECOND
from packhook.core.endpoint import parse_endpoint
from packhook.core.model import EVENT_CODES, SCOPES
from packhook.core.signatures.standard import secret_problem
from packhook.settings import parse_duration

MOST_HEADERS: Final = 20
LONGEST_HEADER: Final = 4096
MOST_WAITS: Final = 20
LONGEST_WAIT: Final = 7 * DAY
LOWEST_RATE, HIGHEST_RATE = 0.001, 10_000

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_RESERVED: Final = frozenset(
    {"connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)


def event_code(code: str) -> str:
    """One of the three; a near miss is told which one it missed."""
    if code in EVENT_CODES:
        return code
    near = difflib.get_close_matches(code, EVENT_CODES, n=1, cutoff=0.75)
    if near:
        raise ValueError(f"{code!r} is not an event code; did you mean `{near[0]}`?")
    raise ValueError(f"expected one of {', '.join(f'`{each}`' for each in EVENT_CODES)}")


def endpoint(url: str, *, allow_http: bool) -> str:
    """The URL, rebuilt."""
    return parse_endpoint(url, allow_http=allow_http).url


def secret(text: str) -> str:
    """8 to 255 printable ASCII characters; a ``whsec_`` one holds 24 to 64 bytes."""
    problem = secret_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """Static request headers: names in lower case, none that is ours or the connection's, values in visible ASCII."""
    if len(given) > MOST_HEADERS:
        raise ValueError(f"expected at most {MOST_HEADERS} headers, got {len(given)}")
    kept: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if lower in _RESERVED or lower.startswith(("content-", "webhook-")):
            raise ValueError(f"the header {lower} is set by packhook itself")
        if lower in kept:
            raise ValueError(f"the header {lower} is given twice")
        if not _VISIBLE.fullmatch(value) or len(value) > LONGEST_HEADER:
            raise ValueError(f"the value of {lower} must be visible ASCII, at most {LONGEST_HEADER} characters")
        kept[lower] = value.strip()
    return kept


def rate_limit(rate: float) -> float:
    """Deliveries a second; 0 is no limit."""
    if rate != 0 and not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"expected a number from {LOWEST_RATE} to {HIGHEST_RATE}, or 0 for no limit")
    return float(rate)


def timeout_seconds(seconds: float) -> int:
    """Milliseconds for one attempt; 0 is the instance's."""
    if seconds != 0 and not 1 <= seconds <= 30:
        raise ValueError("expected a number from 1 to 30, or 0 for the instance's timeout")
    return round(seconds * SECOND)


def retry_schedule(waits: list[str]) -> tuple[int, ...]:
    """Waits in milliseconds from texts such as ``5s``; an empty list is the instance's schedule."""
    if len(waits) > MOST_WAITS:
        raise ValueError(f"expected at most {MOST_WAITS} waits, got {len(waits)}")
    parsed = tuple(parse_duration(wait) for wait in waits)
    if any(wait > LONGEST_WAIT for wait in parsed):
        raise ValueError("expected waits of at most 7d each")
    return parsed


def scopes(given: list[str]) -> tuple[str, ...]:
    """Some of the four scopes, one at least, each once, in their order."""
    unknown = [scope for scope in given if scope not in SCOPES]
    if unknown or not given:
        raise ValueError(f"expected some of {', '.join(f'`{scope}`' for scope in SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def idempotency_key(text: str) -> str:
    """1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(text):
        raise ValueError("expected 1 to 255 visible ASCII characters")
    return text
