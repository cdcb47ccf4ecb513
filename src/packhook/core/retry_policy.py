"""Decide what the outcome of an attempt means, and when to try again. Pure: no I/O, no clock; times in milliseconds.

The verdict is one of: delivered, pending until an instant, exhausted. It may also hold or disable the webhook.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from packhook.core.clock import DAY, SECOND
from packhook.core.model import DeliveryStatus, FailureKind, Outcome, Policy, Verdict

MAX_RETRY_AFTER: Final = DAY
HONORS_RETRY_AFTER: Final = (429, 503)
OVERLOADED: Final = (429, 502, 503, 504)
GONE: Final = 410

_BEFORE_ENDPOINT: Final = (FailureKind.PROXY, FailureKind.SHORTAGE)
_INTERNAL: Final = (FailureKind.INTERNAL,)
_DELIVERED: Final = Verdict(status=DeliveryStatus.DELIVERED)
_HINTS: Final = {
    400: "the endpoint did not accept the request",
    401: "the endpoint did not accept the signature or requires credentials: check its secret, or add a header",
    403: "the endpoint refused: check its firewall and its access rules",
    404: "the endpoint has nothing at this path: check the URL",
    405: "the endpoint does not accept POST: check the URL",
    408: "the endpoint stopped waiting for the request",
    410: "the endpoint says that it is gone permanently",
    413: "the endpoint does not accept a body of this size",
    429: "the endpoint asks for fewer requests",
    500: "the endpoint failed: its own logs say why",
    502: "a proxy in front of the endpoint got no valid response from it",
    503: "the endpoint is overloaded or being maintained",
    504: "a proxy in front of the endpoint got no response in time",
}


def judge(
    outcome: Outcome,
    *,
    failures_before: int,
    policy: Policy,
    now: int,
    gone_since: int | None,
    chance: float,
    planned_at: int | None = None,
) -> Verdict:
    """Return the verdict on one attempt that ended at ``now``.

    ``failures_before`` counts the failed attempts since the schedule began. ``gone_since`` is the instant of the first
    410 in a row, None without one. ``chance`` in [0, 1) places the next attempt within the jitter. ``planned_at``: the
    attempt was made before its time on request, and if it failed the schedule goes on then as if it had not been made.
    """
    if _failed_before_endpoint(outcome):
        return _not_counted(outcome, gone_since)
    if outcome.failure is not None:
        code, message = outcome.failure, outcome.detail or outcome.failure.value
        gone = gone_since  # without a response, an earlier 410 still counts
    else:
        status = outcome.status_code or 0
        if 200 <= status < 300:
            return _DELIVERED
        code, message = _cause(outcome, status)
        gone = (now if gone_since is None else gone_since) if status == GONE else None
    requested = _requested_wait(outcome, policy, now)
    wait = wait_after(policy.retry_schedule, failures_before + 1, policy.jitter, chance)
    if planned_at is not None and planned_at > now:
        wait = planned_at - now
    return Verdict(
        status=DeliveryStatus.EXHAUSTED if wait is None else DeliveryStatus.PENDING,
        next_attempt_at=None if wait is None else now + max(wait, requested or 0),
        hold_until=None if requested is None else now + requested,
        overloaded=_is_overloaded(outcome),
        endpoint_down=_is_down(outcome),
        gone_since=gone,
        disable_reason=_disable_reason(outcome, gone_since, policy, now),
        error_code=code.value,
        error_message=message,
    )


def _failed_before_endpoint(outcome: Outcome) -> bool:
    """Return True if nothing was sent: the operator's proxy failed, or this node lacked something."""
    return outcome.failure in _BEFORE_ENDPOINT


def _not_counted(outcome: Outcome, gone_since: int | None) -> Verdict:
    failure = outcome.failure or FailureKind.INTERNAL
    return Verdict(
        status=DeliveryStatus.PENDING,
        gone_since=gone_since,
        error_code=failure.value,
        error_message=outcome.detail or failure.value,
        not_counted=True,
    )


def _requested_wait(outcome: Outcome, policy: Policy, now: int) -> int | None:
    """Return how long ``Retry-After`` asks to wait. None without one, or with a status for which it does not count."""
    if outcome.failure is not None or outcome.status_code not in HONORS_RETRY_AFTER:
        return None
    value = _header(outcome, "retry-after")
    wait = None if value is None else retry_after(value, now)
    return None if wait is None else min(wait, policy.hold_at_most)


def _header(outcome: Outcome, wanted: str) -> str | None:
    return next((value for name, value in outcome.headers if name.lower() == wanted), None)


def _is_overloaded(outcome: Outcome) -> bool:
    if outcome.failure is not None:
        return outcome.failure is FailureKind.TIMEOUT
    return outcome.status_code in OVERLOADED


def _is_down(outcome: Outcome) -> bool:
    """Return True if the endpoint would probably fail any request; faults of our own do not count."""
    if outcome.failure is not None:
        return outcome.failure not in _INTERNAL
    return outcome.status_code == 429 or (outcome.status_code or 0) >= 500


def _disable_reason(outcome: Outcome, gone_since: int | None, policy: Policy, now: int) -> str:
    if outcome.failure is not None or outcome.status_code != GONE or gone_since is None:
        return ""
    if now - gone_since < policy.disable_after_gone:
        return ""
    return "the endpoint answered 410 Gone more than once, at least a minute apart"


def _cause(outcome: Outcome, status: int) -> tuple[FailureKind, str]:
    """Return a code and a message for a response that is not 2xx."""
    if 300 <= status < 400:
        return FailureKind.REDIRECT, _redirect_message(outcome, status)
    if not 400 <= status < 600:
        return FailureKind.PROTOCOL, f"answered with the status code {status}, which is not a final one"
    message = f"answered {named(status)}"
    hint = _HINTS.get(status)
    code = FailureKind.GONE if status == GONE else FailureKind.THROTTLED if status == 429 else FailureKind.STATUS
    return code, f"{message}: {hint}" if hint else message


def _redirect_message(outcome: Outcome, status: int) -> str:
    location = _printable(_header(outcome, "location") or "")
    target = f" to {location}" if location else ""
    return f"answered {named(status)}{target}: redirects are not followed, update the URL of the webhook"


def _printable(text: str) -> str:
    clean = "".join(character for character in text if character.isprintable())
    return clean if len(clean) <= 200 else clean[:199] + "…"


def named(status: int) -> str:
    """Return a status code with its reason phrase, if it has one."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def wait_after(schedule: Sequence[int], failures: int, jitter: float, chance: float) -> int | None:
    """Return the wait after the ``failures``-th failed attempt (from 1); None if the schedule is used up.

    ``chance`` in [0, 1) spreads the wait evenly over ``1 - jitter`` to ``1 + jitter`` times the step.
    """
    if not 1 <= failures <= len(schedule):
        return None
    return round(schedule[failures - 1] * (1 + jitter * (2 * chance - 1)))


def remaining_schedule(schedule: Sequence[int], failures: int, next_attempt_at: int) -> tuple[int, ...]:
    """Return the instants of all further attempts if each fails, without jitter, the next one first."""
    times = [next_attempt_at]
    for wait in schedule[failures:]:
        times.append(times[-1] + wait)
    return tuple(times)


def retry_after(value: str, now: int) -> int | None:
    """Return the wait that a ``Retry-After`` asks for (RFC 9110, 10.2.3), 0 to 24 h; None if it is not valid."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0") or "0"
        return MAX_RETRY_AFTER if len(digits) > 9 else min(int(digits) * SECOND, MAX_RETRY_AFTER)
    moment = parse_http_date(text)
    return None if moment is None else max(0, min(round(moment.timestamp() * SECOND) - now, MAX_RETRY_AFTER))


def parse_http_date(text: str) -> datetime | None:
    """Parse any of the three date formats of RFC 9110, 5.6.7; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
