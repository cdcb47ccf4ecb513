"""Test when an attempt is repeated: the schedule, its jitter, and ``Retry-After``."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.retry_policy import MAX_RETRY_AFTER, remaining_schedule, retry_after, wait_after
from packhook.settings import DEFAULT_SCHEDULE

NOW: Final = 1_722_589_200_000  # 2024-08-02T09:00:00Z
DATE_FORMS: Final = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y")
DATE_PARTS: Final = (
    *("Fri,", "Fri", "Aug", "Feb", "2", "31", "99", "2024", "0001", "9999", "99999999999999"),
    *("09:00:30", "25:61:61", "-1:0", "GMT", "EST", "-0000", "+1400", "-9999", "+99999", ",", "-", ":"),
)


def test_the_default_schedule_is_ten_attempts_over_75_hours_and_35_minutes() -> None:
    """At once, then nine waits."""
    assert len(DEFAULT_SCHEDULE) + 1 == 10
    assert sum(DEFAULT_SCHEDULE) == 75 * HOUR + 35 * MINUTE + 5 * SECOND


def test_each_failure_has_its_wait_and_the_last_has_none() -> None:
    """Without jitter, the waits are those of the schedule."""
    waits = [wait_after(DEFAULT_SCHEDULE, failures, 0.0, 0.5) for failures in range(1, 11)]
    assert waits == [*DEFAULT_SCHEDULE, None]


def test_an_empty_schedule_tries_once() -> None:
    """The first failure is the last."""
    assert wait_after((), 1, 0.2, 0.5) is None


def test_before_the_first_failure_there_is_nothing_to_wait_for() -> None:
    """Failures count from 1; 0 is neither the first nor the last step of the schedule."""
    assert wait_after((10, 20), 0, 0.2, 0.5) is None


@given(st.integers(0, 7 * DAY), st.floats(0, 1, exclude_max=True))
def test_jitter_is_at_most_a_fifth(step: int, chance: float) -> None:
    """In both directions."""
    wait = wait_after((step,), 1, 0.2, chance)
    assert wait is not None
    assert round(step * 0.8) <= wait <= round(step * 1.2)


def test_jitter_spreads_evenly() -> None:
    """The ends and the middle of the random number give those of the wait."""
    assert [wait_after((1_000,), 1, 0.2, chance) for chance in (0.0, 0.25, 0.5, 0.75)] == [800, 900, 1_000, 1_100]


def test_the_remaining_schedule_begins_with_the_next_attempt() -> None:
    """After two failures of three waits: the planned attempt, and one more."""
    assert remaining_schedule((10, 20, 30), 2, NOW) == (NOW, NOW + 30)
    assert remaining_schedule((10, 20, 30), 0, NOW) == (NOW, NOW + 10, NOW + 30, NOW + 60)
    assert remaining_schedule((10,), 1, NOW) == (NOW,)
    assert remaining_schedule((), 0, NOW) == (NOW,)


def test_the_remaining_schedule_of_the_default_schedule() -> None:
    """Ten of them before the first attempt, the last 75 h 35 min (and the first 5 s) after it."""
    times = remaining_schedule(DEFAULT_SCHEDULE, 0, NOW)
    assert (len(times), times[0], times[-1]) == (10, NOW, NOW + 75 * HOUR + 35 * MINUTE + 5 * SECOND)
    assert remaining_schedule(DEFAULT_SCHEDULE, 7, NOW) == (NOW, NOW + 20 * HOUR, NOW + 44 * HOUR)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("86400", DAY),
        ("86401", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("Fri, 02 Aug 2024 09:00:30 GMT", 30 * SECOND),
        ("Friday, 02-Aug-24 09:00:30 GMT", 30 * SECOND),
        ("Fri Aug  2 09:00:30 2024", 30 * SECOND),
        ("Fri, 02 Aug 2024 08:00:00 GMT", 0),
        ("Fri, 02 Aug 2124 09:00:00 GMT", MAX_RETRY_AFTER),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("1e3", None),
        ("Fri, 02 Aug 99999999999999 09:00:30 GMT", None),
        ("Fri, 99 Aug 2024 09:00:30 GMT", None),
        ("Fri, 02 Aug 2024 09:00:30 +99999", None),
        ("2024-08-02T09:00:30Z", None),
    ],
)
def test_retry_after(value: str, wait: int | None) -> None:
    """Seconds or one of three dates (RFC 9110, 10.2.3 and 5.6.7), at most 24 hours; None for anything else."""
    assert retry_after(value, NOW) == wait


@pytest.mark.parametrize(("value", "wait"), [("0000000000", 0), ("0000000060", 60 * SECOND)])
def test_retry_after_with_leading_zeros(value: str, wait: int) -> None:
    """Any number of digits is allowed (RFC 9110: 1*DIGIT)."""
    assert retry_after(value, NOW) == wait


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the local time of the machine nine hours ahead."""
    with monkeypatch.context() as context:
        context.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize("form", DATE_FORMS)
def test_a_date_is_in_utc_whatever_the_local_time(form: str) -> None:
    """The third form names no zone; it is UTC too."""
    assert datetime.fromtimestamp(0).hour == 9  # noqa: DTZ006 the machine's own time is what is looked at
    moment = datetime.fromtimestamp(NOW // SECOND + 30, UTC)
    assert retry_after(moment.strftime(form), NOW) == 30 * SECOND


@given(st.integers(0, MAX_RETRY_AFTER // SECOND), st.sampled_from(DATE_FORMS))
def test_retry_after_reads_any_moment_of_the_next_day(seconds: int, form: str) -> None:
    """In each of the three forms, to the second."""
    moment = datetime.fromtimestamp(NOW // SECOND + seconds, UTC)
    assert retry_after(moment.strftime(form), NOW) == seconds * SECOND


@given(st.lists(st.sampled_from(DATE_PARTS), max_size=9).map(" ".join))
def test_retry_after_takes_any_date_like_text(value: str) -> None:
    """No day, year or zone raises."""
    wait = retry_after(value, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@given(st.text(max_size=60))
def test_retry_after_takes_any_text(value: str) -> None:
    """The result is a wait within bounds, or None."""
    wait = retry_after(value, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER
