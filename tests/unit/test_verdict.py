"""Test verdicts: every row of the documented table, and the cases between."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.model import DeliveryStatus, FailureKind, Outcome, Policy, Verdict
from packhook.core.retry_policy import judge
from packhook.settings import DEFAULT_SCHEDULE

NOW: Final = 1_722_589_200_000
SCHEDULE: Final = (5 * SECOND, 5 * MINUTE)
POLICY: Final = Policy(retry_schedule=SCHEDULE, jitter=0.2)


def judged(
    outcome: Outcome,
    *,
    failures_before: int = 0,
    gone_since: int | None = None,
    policy: Policy = POLICY,
    now: int = NOW,
    chance: float = 0.5,
) -> Verdict:
    """Return the verdict at NOW, without jitter."""
    return judge(outcome, failures_before=failures_before, policy=policy, now=now, gone_since=gone_since, chance=chance)


def answered(status: int, **headers: str) -> Outcome:
    """Return an answer with these headers."""
    return Outcome(
        status_code=status, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items())
    )


values = st.one_of(st.text(max_size=30), st.integers(0, 200_000).map(str))
outcomes = st.one_of(
    st.builds(
        Outcome,
        status_code=st.integers(0, 999),
        headers=st.lists(st.tuples(st.sampled_from(["retry-after", "Location"]), values), max_size=3).map(tuple),
    ),
    st.builds(
        Outcome,
        failure=st.sampled_from(
            [
                FailureKind.BLOCKED, FailureKind.DNS, FailureKind.CONNECT, FailureKind.TLS, FailureKind.TIMEOUT,
                    FailureKind.RESET,
                FailureKind.PROTOCOL, FailureKind.INTERNAL, FailureKind.TUNNEL,
            ]
        ),
        detail=st.sampled_from(["", "words"]),
    ),
)  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_2xx_is_delivered(status: int) -> None:
    """It has no other consequence."""
    assert judged(answered(status)) == Verdict(status=DeliveryStatus.DELIVERED)


def test_2xx_at_the_last_attempt_is_delivered() -> None:
    """However often it failed before, and even after a 410."""
    verdict = judged(answered(200), failures_before=2, gone_since=NOW - DAY)
    assert verdict == Verdict(status=DeliveryStatus.DELIVERED)


@pytest.mark.parametrize(
    ("outcome", "code", "overloaded", "endpoint_down"),
    [
        (answered(301, location="https://elsewhere.example/"), "redirect_not_followed", False, False),
        (answered(300), "redirect_not_followed", False, False),
        (answered(304), "redirect_not_followed", False, False),
        (answered(399), "redirect_not_followed", False, False),
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
        (Outcome(failure=FailureKind.DNS, detail="no such name"), "dns_failed", False, True),
        (Outcome(failure=FailureKind.CONNECT, detail="refused"), "connect_failed", False, True),
        (Outcome(failure=FailureKind.TLS, detail="expired"), "tls_failed", False, True),
        (Outcome(failure=FailureKind.TIMEOUT, detail="late"), "timeout", True, True),
        (Outcome(failure=FailureKind.RESET, detail="gone"), "connection_lost", False, True),
        (Outcome(failure=FailureKind.PROTOCOL, detail="not HTTP"), "invalid_response", False, True),
        (Outcome(failure=FailureKind.BLOCKED, detail="no"), "endpoint_not_allowed", False, True),
        (Outcome(failure=FailureKind.INTERNAL, detail="ours"), "internal_error", False, False),
        (Outcome(failure=FailureKind.TUNNEL, detail="403"), "tunnel_failed", False, True),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_everything_else_is_retried_by_the_schedule(
    outcome: Outcome, code: str, overloaded: bool, endpoint_down: bool
) -> None:
    """With a code, a message, and the consequence for the endpoint."""
    verdict = judged(outcome)
    assert (verdict.status, verdict.next_attempt_at) == (DeliveryStatus.PENDING, NOW + 5 * SECOND)
    assert (verdict.error_code, verdict.overloaded, verdict.endpoint_down) == (code, overloaded, endpoint_down)
    assert verdict.error_message


@pytest.mark.parametrize("failures_before", [0, 2, 99])
@pytest.mark.parametrize("failure", [FailureKind.PROXY, FailureKind.SHORTAGE])
def test_what_the_operator_lacks_spends_nothing(failures_before: int, failure: FailureKind) -> None:
    """A proxy that fails, or no socket: it says nothing of the endpoint, so no schedule, breaker, or end."""
    outcome = Outcome(failure=failure, detail="refused")
    assert judged(outcome, failures_before=failures_before, gone_since=NOW - DAY) == Verdict(
        status=DeliveryStatus.PENDING,
        gone_since=NOW - DAY,
        error_code=failure.value,
        error_message="refused",
        not_counted=True,
    )


def test_the_last_failure_exhausts() -> None:
    """Two waits allow three attempts."""
    statuses = [judged(answered(500), failures_before=failures).status for failures in range(3)]
    assert statuses == [DeliveryStatus.PENDING, DeliveryStatus.PENDING, DeliveryStatus.EXHAUSTED]
    assert judged(answered(500), failures_before=2).next_attempt_at is None


def test_the_message_of_a_redirect_has_its_target() -> None:
    """It says what to do, has no control characters, and is bounded."""
    words = judged(answered(301, location="https://new.example/\x00" + "x" * 400)).error_message
    assert words.startswith("answered 301 Moved Permanently to https://new.example/xxx")
    assert words.endswith("…: redirects are not followed, update the URL of the webhook")
    assert len(words) < 330


def test_the_message_of_a_failure_is_its_detail() -> None:
    """The verdict adds nothing to it."""
    assert judged(Outcome(failure=FailureKind.TLS, detail="the certificate has expired")).error_message == (
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
    """The delivery waits for the longer of step and request; the webhook for the request."""
    verdict = judged(answered(status, Retry_After=value), failures_before=failures_before)
    assert verdict.next_attempt_at == NOW + wait
    assert verdict.hold_until == (None if hold is None else NOW + hold)


def test_retry_after_counts_for_429_and_503_only() -> None:
    """It is ignored in other responses."""
    assert judged(answered(500, Retry_After="3600")).hold_until is None


def test_retry_after_holds_the_webhook_after_the_last_attempt() -> None:
    """The other deliveries of the webhook still wait."""
    verdict = judged(answered(503, Retry_After="60"), failures_before=2)
    assert (verdict.status, verdict.hold_until) == (DeliveryStatus.EXHAUSTED, NOW + MINUTE)


@pytest.mark.parametrize(
    ("gone_since", "disables"),
    [(None, False), (NOW, False), (NOW - MINUTE + 1, False), (NOW - MINUTE, True), (NOW - DAY, True)],
)
def test_410_twice_a_minute_apart_disables(gone_since: int | None, disables: bool) -> None:
    """The first starts the minute; the delivery is kept and retried once the webhook is enabled."""
    verdict = judged(answered(410), gone_since=gone_since)
    assert bool(verdict.disable_reason) == disables
    assert verdict.gone_since == (NOW if gone_since is None else gone_since)
    assert verdict.status is DeliveryStatus.PENDING


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (answered(500), None),
        (answered(404), None),
        (Outcome(failure=FailureKind.TIMEOUT, detail="late"), NOW - HOUR),
    ],
)
def test_a_different_response_ends_a_series_of_410(outcome: Outcome, kept: int | None) -> None:
    """No response changes nothing."""
    verdict = judged(outcome, gone_since=NOW - HOUR)
    assert (verdict.gone_since, verdict.disable_reason) == (kept, "")


def test_the_default_schedule_makes_ten_attempts_in_75_hours_and_35_minutes() -> None:
    """Each failure starts the next wait; the tenth exhausts."""
    policy = Policy(retry_schedule=DEFAULT_SCHEDULE)
    now, attempts = NOW, 0
    while True:
        verdict = judged(answered(500), failures_before=attempts, policy=policy, now=now)
        attempts += 1
        if verdict.next_attempt_at is None:
            break
        now = verdict.next_attempt_at
    assert (attempts, now - NOW) == (10, 75 * HOUR + 35 * MINUTE + 5 * SECOND)
    assert verdict.status is DeliveryStatus.EXHAUSTED


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 4_000), (0.5, 5_000), (0.75, 5_500)])
def test_the_next_attempt_lies_within_the_jitter(chance: float, wait: int) -> None:
    """A fifth around the step; Retry-After is the minimum, without jitter."""
    assert judged(answered(500), chance=chance).next_attempt_at == NOW + wait
    assert judged(answered(503, Retry_After="60"), chance=chance).next_attempt_at == NOW + MINUTE


def test_the_policy_bounds_retry_after() -> None:
    """An operator may hold webhooks for less than a day."""
    policy = Policy(retry_schedule=SCHEDULE, hold_at_most=HOUR)
    verdict = judged(answered(429, Retry_After="86400"), policy=policy)
    assert (verdict.hold_until, verdict.next_attempt_at) == (NOW + HOUR, NOW + HOUR)


@pytest.mark.parametrize("name", ["retry-after", "Retry-After", "RETRY-AFTER"])
def test_header_names_are_case_insensitive(name: str) -> None:
    """RFC 9110, 5.1."""
    assert judged(Outcome(status_code=503, headers=(("x", "1"), (name, "60")))).hold_until == NOW + MINUTE


def test_headers_of_a_failure_are_ignored() -> None:
    """A 503 that ended early is no response, so its Retry-After does not count."""
    broken = Outcome(status_code=503, headers=(("retry-after", "3600"),), failure=FailureKind.RESET, detail="cut off")
    verdict = judged(broken)
    assert (verdict.hold_until, verdict.overloaded, verdict.error_code) == (None, False, "connection_lost")


def series_of(*answers: tuple[int, int]) -> list[bool]:
    """Return for each of these answers, at so many milliseconds after NOW, whether it disables the webhook."""
    disabled, gone_since = [], None
    for status, at in answers:
        verdict = judged(answered(status), now=NOW + at, gone_since=gone_since)
        gone_since = verdict.gone_since
        disabled.append(bool(verdict.disable_reason))
    return disabled


@pytest.mark.parametrize(
    ("answers", "disabled"),
    [
        ([(410, 0)], [False]),
        ([(410, 0), (410, MINUTE)], [False, True]),
        ([(410, 0), (410, MINUTE - 1)], [False, False]),
        ([(410, 0), (410, MINUTE // 2), (410, MINUTE)], [False, False, True]),
        ([(410, 0), (200, SECOND), (410, MINUTE)], [False, False, False]),
        ([(410, 0), (404, SECOND), (410, MINUTE)], [False, False, False]),
        ([(410, 0), (200, SECOND), (410, MINUTE), (410, 2 * MINUTE)], [False, False, False, True]),
    ],
)
def test_a_series_of_410(answers: list[tuple[int, int]], disabled: list[bool]) -> None:
    """Two of them a minute apart, with no other response between, disable; a single one does not."""
    assert series_of(*answers) == disabled


def test_the_reason_for_disabling() -> None:
    """The webhook has it, for its owner to read."""
    reason = judged(answered(410), gone_since=NOW - MINUTE).disable_reason
    assert reason == "the endpoint answered 410 Gone more than once, at least a minute apart"


def test_410_at_the_last_attempt_exhausts_and_disables() -> None:
    """Both happen."""
    verdict = judged(answered(410), failures_before=2, gone_since=NOW - MINUTE)
    assert (verdict.status, bool(verdict.disable_reason)) == (DeliveryStatus.EXHAUSTED, True)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (answered(302), "answered 302 Found: redirects are not followed, update the URL of the webhook"),
        (answered(404), "answered 404 Not Found: the endpoint has nothing at this path: check the URL"),
        (answered(429), "answered 429 Too Many Requests: the endpoint asks for fewer requests"),
        (answered(418), "answered 418 I'm a Teapot"),
        (answered(599), "answered 599"),
        (answered(102), "answered with the status code 102, which is not a final one"),
        (Outcome(), "answered with the status code 0, which is not a final one"),
        (Outcome(failure=FailureKind.DNS), "dns_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_messages_for_the_owner_of_a_receiver(outcome: Outcome, words: str) -> None:
    """They say what the response was, and what to check."""
    assert judged(outcome).error_message == words


@given(outcomes, st.integers(0, 3), st.none() | st.integers(NOW - DAY, NOW), st.floats(0, 1, exclude_max=True))
def test_any_outcome_has_a_verdict(outcome: Outcome, failures: int, gone_since: int | None, chance: float) -> None:
    """2xx and only 2xx is delivered; the next attempt is no sooner than the step, no later than a day."""
    verdict = judged(outcome, failures_before=failures, gone_since=gone_since, chance=chance)
    delivered = outcome.failure is None and 200 <= (outcome.status_code or 0) < 300
    assert (verdict.status is DeliveryStatus.DELIVERED) == delivered == (not verdict.error_code)
    assert (verdict.status is DeliveryStatus.PENDING) == (verdict.next_attempt_at is not None)
    assert (verdict.status is DeliveryStatus.EXHAUSTED) == (not delivered and failures >= len(SCHEDULE))
    if verdict.next_attempt_at is not None:
        assert NOW + SCHEDULE[failures] * 0.8 <= verdict.next_attempt_at <= NOW + DAY
    assert verdict.hold_until is None or NOW <= verdict.hold_until <= NOW + DAY
