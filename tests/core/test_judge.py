"""What an outcome means: each line of the contract's table (section 5), and what lies between the lines."""

from typing import Final

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.judge import judge
from packhook.core.model import DeliveryStatus, Outcome, Policy, Trouble, Verdict

NOW: Final = 1_722_589_200_000
SCHEDULE: Final = (5 * SECOND, 5 * MINUTE)
POLICY: Final = Policy(retry_schedule=SCHEDULE, jitter=0.2)


def judged(outcome: Outcome, *, failures_before: int = 0, gone_since: int | None = None) -> Verdict:
    """The verdict at NOW, with no luck either way."""
    return judge(outcome, failures_before=failures_before, policy=POLICY, now=NOW, gone_since=gone_since, chance=0.5)


def answered(status: int, **headers: str) -> Outcome:
    """An answer with these headers."""
    return Outcome(
        status_code=status, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items())
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_2xx_is_delivered(status: int) -> None:
    """And nothing else comes of it."""
    assert judged(answered(status)) == Verdict(status=DeliveryStatus.DELIVERED)


def test_2xx_at_the_last_attempt_is_delivered() -> None:
    """However often it failed before, and even after a 410."""
    verdict = judged(answered(200), failures_before=2, gone_since=NOW - DAY)
    assert verdict == Verdict(status=DeliveryStatus.DELIVERED)


@pytest.mark.parametrize(
    ("outcome", "code", "overloaded", "endpoint_down"),
    [
        (answered(301, location="https://elsewhere.example/"), "redirect_not_followed", False, False),
        (answered(304), "redirect_not_followed", False, False),
        (answered(400), "unsuccessful_status", False, False),
        (answered(401), "unsuccessful_status", False, False),
        (answered(404), "unsuccessful_status", False, False),
        (answered(410), "gone", False, False),
        (answered(429), "throttled", True, True),
        (answered(500), "unsuccessful_status", False, True),
        (answered(502), "unsuccessful_status", True, True),
        (answered(503), "unsuccessful_status", True, True),
        (answered(504), "unsuccessful_status", True, True),
        (answered(599), "unsuccessful_status", False, True),
        (answered(199), "invalid_response", False, False),
        (answered(799), "invalid_response", False, True),
        (Outcome(trouble=Trouble.DNS, detail="no such name"), "dns_failed", False, True),
        (Outcome(trouble=Trouble.CONNECT, detail="refused"), "connect_failed", False, True),
        (Outcome(trouble=Trouble.TLS, detail="expired"), "tls_failed", False, True),
        (Outcome(trouble=Trouble.TIMEOUT, detail="late"), "timeout", True, True),
        (Outcome(trouble=Trouble.RESET, detail="gone"), "connection_lost", False, True),
        (Outcome(trouble=Trouble.PROTOCOL, detail="not HTTP"), "invalid_response", False, True),
        (Outcome(trouble=Trouble.BLOCKED, detail="no"), "endpoint_not_allowed", False, True),
        (Outcome(trouble=Trouble.INTERNAL, detail="ours"), "internal_error", False, False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_everything_else_is_tried_again_by_the_schedule(
    outcome: Outcome, code: str, overloaded: bool, endpoint_down: bool
) -> None:
    """With a code, words, and what it says of the endpoint."""
    verdict = judged(outcome)
    assert (verdict.status, verdict.next_attempt_at) == (DeliveryStatus.PENDING, NOW + 5 * SECOND)
    assert (verdict.error_code, verdict.overloaded, verdict.endpoint_down) == (code, overloaded, endpoint_down)
    assert verdict.error_message


def test_the_last_failure_exhausts() -> None:
    """Two waits are three attempts."""
    statuses = [judged(answered(500), failures_before=failures).status for failures in range(3)]
    assert statuses == [DeliveryStatus.PENDING, DeliveryStatus.PENDING, DeliveryStatus.EXHAUSTED]
    assert judged(answered(500), failures_before=2).next_attempt_at is None


def test_words_for_a_redirect_name_where_it_pointed() -> None:
    """And what to do; without control characters, however long it is."""
    words = judged(answered(301, location="https://new.example/\x00" + "x" * 400)).error_message
    assert words.startswith("answered 301 Moved Permanently to https://new.example/xxx")
    assert words.endswith("…: redirects are not followed, update the URL of the webhook")
    assert len(words) < 330


def test_words_of_trouble_are_the_wires() -> None:
    """The judge adds nothing to them."""
    assert judged(Outcome(trouble=Trouble.TLS, detail="the certificate has expired")).error_message == (
        "the certificate has expired"
    )


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "failures_before", "wait", "hold"),
    [
        ("2", 0, 5 * SECOND, 2 * SECOND),  # the schedule's step is the least
        ("60", 0, MINUTE, MINUTE),
        ("60", 1, 5 * MINUTE, MINUTE),
        ("Fri, 02 Aug 2024 10:00:00 GMT", 0, HOUR, HOUR),
        ("999999", 0, DAY, DAY),  # 24 h at most
        ("nonsense", 0, 5 * SECOND, None),
    ],
)
def test_retry_after_slows_the_whole_webhook_down(
    status: int, value: str, failures_before: int, wait: int, hold: int | None
) -> None:
    """The delivery waits for the longer of step and wish; the webhook for the wish."""
    verdict = judged(answered(status, Retry_After=value), failures_before=failures_before)
    assert verdict.next_attempt_at == NOW + wait
    assert verdict.hold_until == (None if hold is None else NOW + hold)


def test_retry_after_means_nothing_elsewhere() -> None:
    """Only 429 and 503 may ask."""
    assert judged(answered(500, Retry_After="3600")).hold_until is None


def test_retry_after_holds_even_when_the_schedule_is_used_up() -> None:
    """The other deliveries of the webhook still wait."""
    verdict = judged(answered(503, Retry_After="60"), failures_before=2)
    assert (verdict.status, verdict.hold_until) == (DeliveryStatus.EXHAUSTED, NOW + MINUTE)


@pytest.mark.parametrize(
    ("gone_since", "disables"),
    [(None, False), (NOW, False), (NOW - MINUTE + 1, False), (NOW - MINUTE, True), (NOW - DAY, True)],
)
def test_410_twice_a_minute_apart_disables(gone_since: int | None, disables: bool) -> None:
    """The first begins the minute; the delivery is kept and tried again when the webhook is enabled."""
    verdict = judged(answered(410), gone_since=gone_since)
    assert bool(verdict.disable_reason) == disables
    assert verdict.gone_since == (NOW if gone_since is None else gone_since)
    assert verdict.status is DeliveryStatus.PENDING


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (answered(500), None),
        (answered(404), None),
        (Outcome(trouble=Trouble.TIMEOUT, detail="late"), NOW - HOUR),
    ],
)
def test_what_ends_a_run_of_410(outcome: Outcome, kept: int | None) -> None:
    """Another answer does; no answer says nothing."""
    verdict = judged(outcome, gone_since=NOW - HOUR)
    assert (verdict.gone_since, verdict.disable_reason) == (kept, "")
