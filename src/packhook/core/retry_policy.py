"""Decide what an outcome means and when to try again. Pure: no I/O, no clock; all times are milliseconds.

The verdict is one of: delivered, try again at an instant, exhausted; it may hold or disable the webhook. The table is
contract.md's, section 5; each of its lines is a case of :func:`judge`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from packhook.core.clock import DAY, SECOND
from packhook.core.model import DeliveryStatus, FailureKind, Outcome, Policy, Verdict

LONGEST_RETRY_AFTER: Final = DAY
THROTTLED: Final = (429, 503)
OVERLOADED: Final = (429, 502, 503, 504)
GONE: Final = 410

_OURS: Final = (FailureKind.INTERNAL,)
_PROXY: Final = FailureKind.PROXY
_DELIVERED: Final = Verdict(status=DeliveryStatus.DELIVERED)
_HINTS: Final = {
    400: "the endpoint did not accept the request",
    401: "the endpoint wants credentials: add them as a header of the webhook",
    403: "the endpoint refused: check its firewall and what it expects",
    404: "nothing answers at this path: check the URL",
    405: "the endpoint does not take POST: check the URL",
    408: "the endpoint gave up waiting",
    410: "the endpoint says that it is gone for good",
    413: "the endpoint does not take a body of this size",
    429: "the endpoint asks to slow down",
    500: "the endpoint failed: its own logs say why",
    502: "a proxy before the endpoint got no answer from it",
    503: "the endpoint is overloaded or being maintained",
    504: "a proxy before the endpoint waited too long for it",
}


def judge(
    outcome: Outcome, *, failures_before: int, policy: Policy, now: int, gone_since: int | None, chance: float
) -> Verdict:
    """The verdict on one attempt that ended at ``now``.

    ``failures_before``: failed attempts since the schedule began. ``gone_since``: when this webhook's run of 410s
    began. ``chance`` in [0, 1) places the next attempt within the jitter.
    """
    if _is_before_the_endpoint(outcome):
        return _unspent(outcome, gone_since)
    if outcome.failure is not None:
        code, message = outcome.failure, outcome.detail or outcome.failure.value
        gone = gone_since  # no answer says nothing about a 410 before it
    else:
        status = outcome.status_code or 0
        if 200 <= status < 300:
            return _DELIVERED
        code, message = _cause(outcome, status)
        gone = (now if gone_since is None else gone_since) if status == GONE else None
    asked = _asked_wait(outcome, policy, now)
    wait = wait_after(policy.retry_schedule, failures_before + 1, policy.jitter, chance)
    return Verdict(
        status=DeliveryStatus.EXHAUSTED if wait is None else DeliveryStatus.PENDING,
        next_attempt_at=None if wait is None else now + max(wait, asked or 0),
        hold_until=None if asked is None else now + asked,
        overloaded=_is_overloaded(outcome),
        endpoint_down=_is_down(outcome),
        gone_since=gone,
        disable_reason=_disable_reason(outcome, gone_since, policy, now),
        error_code=code.value,
        error_message=message,
    )


def _is_before_the_endpoint(outcome: Outcome) -> bool:
    return outcome.failure is _PROXY


def _unspent(outcome: Outcome, gone_since: int | None) -> Verdict:
    """Before the proxy was told where to, nothing of it was the endpoint's doing."""
    return Verdict(
        status=DeliveryStatus.PENDING,
        gone_since=gone_since,
        error_code=FailureKind.PROXY.value,
        error_message=outcome.detail or FailureKind.PROXY.value,
        not_counted=True,
    )


def _asked_wait(outcome: Outcome, policy: Policy, now: int) -> int | None:
    """How long ``Retry-After`` asks to wait, where that is heeded."""
    if outcome.failure is not None or outcome.status_code not in THROTTLED:
        return None
    value = _header(outcome, "retry-after")
    asked = None if value is None else retry_after(value, now)
    return None if asked is None else min(asked, policy.hold_at_most)


def _header(outcome: Outcome, wanted: str) -> str | None:
    return next((value for name, value in outcome.headers if name.lower() == wanted), None)


def _is_overloaded(outcome: Outcome) -> bool:
    if outcome.failure is not None:
        return outcome.failure is FailureKind.TIMEOUT
    return outcome.status_code in OVERLOADED


def _is_down(outcome: Outcome) -> bool:
    """Whether this looks like an endpoint that would fail whatever it was sent; our own faults do not."""
    if outcome.failure is not None:
        return outcome.failure not in _OURS
    return outcome.status_code == 429 or (outcome.status_code or 0) >= 500


def _disable_reason(outcome: Outcome, gone_since: int | None, policy: Policy, now: int) -> str:
    if outcome.failure is not None or outcome.status_code != GONE or gone_since is None:
        return ""
    if now - gone_since < policy.disable_after_gone:
        return ""
    return "the endpoint answered 410 Gone more than once, at least a minute apart"


def _cause(outcome: Outcome, status: int) -> tuple[FailureKind, str]:
    """A code and words for an answer that is not 2xx."""
    if 300 <= status < 400:
        return FailureKind.REDIRECT, _redirect_words(outcome, status)
    if not 400 <= status < 600:
        return FailureKind.PROTOCOL, f"answered with the status code {status}, which is not a final one"
    words = f"answered {named(status)}"
    hint = _HINTS.get(status)
    code = FailureKind.GONE if status == GONE else FailureKind.THROTTLED if status == 429 else FailureKind.STATUS
    return code, f"{words}: {hint}" if hint else words


def _redirect_words(outcome: Outcome, status: int) -> str:
    location = _printable(_header(outcome, "location") or "")
    where = f" to {location}" if location else ""
    return f"answered {named(status)}{where}: redirects are not followed, update the URL of the webhook"


def _printable(text: str) -> str:
    clean = "".join(character for character in text if character.isprintable())
    return clean if len(clean) <= 200 else clean[:199] + "…"


def named(status: int) -> str:
    """A status code with its phrase, where it has one."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


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
