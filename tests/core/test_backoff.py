"""When to try again: the schedule, its jitter, and what a receiver asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.backoff import LONGEST_RETRY_AFTER, retry_after, times_to_come, wait_after
from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.settings import DEFAULT_SCHEDULE

NOW = 1_722_589_200_000  # 2024-08-02T09:00:00Z


def test_the_default_schedule_is_ten_attempts_over_75_hours_and_35_minutes() -> None:
    """Contract, 5: at once, then nine waits."""
    assert len(DEFAULT_SCHEDULE) + 1 == 10
    assert sum(DEFAULT_SCHEDULE) == 75 * HOUR + 35 * MINUTE + 5 * SECOND


def test_each_failure_has_its_wait_and_the_last_has_none() -> None:
    """Without chance in it, the steps are the schedule's."""
    waits = [wait_after(DEFAULT_SCHEDULE, failures, 0.0, 0.5) for failures in range(1, 11)]
    assert waits == [*DEFAULT_SCHEDULE, None]


def test_an_empty_schedule_tries_once() -> None:
    """One failure uses it up."""
    assert wait_after((), 1, 0.2, 0.5) is None


@given(st.integers(0, 7 * DAY), st.floats(0, 1, exclude_max=True))
def test_jitter_is_a_fifth_either_way(step: int, chance: float) -> None:
    """And never more."""
    wait = wait_after((step,), 1, 0.2, chance)
    assert wait is not None
    assert round(step * 0.8) <= wait <= round(step * 1.2)


def test_jitter_spreads_evenly() -> None:
    """The ends and the middle of chance are those of the wait."""
    assert [wait_after((1_000,), 1, 0.2, chance) for chance in (0.0, 0.25, 0.5, 0.75)] == [800, 900, 1_000, 1_100]


def test_times_to_come_begin_with_the_next_attempt() -> None:
    """After two failures of three waits: the planned one, and one more."""
    assert times_to_come((10, 20, 30), 2, NOW) == (NOW, NOW + 30)
    assert times_to_come((10, 20, 30), 0, NOW) == (NOW, NOW + 10, NOW + 30, NOW + 60)
    assert times_to_come((10,), 1, NOW) == (NOW,)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("86400", DAY),
        ("86401", LONGEST_RETRY_AFTER),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("Fri, 02 Aug 2024 09:00:30 GMT", 30 * SECOND),
        ("Friday, 02-Aug-24 09:00:30 GMT", 30 * SECOND),
        ("Fri Aug  2 09:00:30 2024", 30 * SECOND),
        ("Fri, 02 Aug 2024 08:00:00 GMT", 0),
        ("Fri, 02 Aug 2124 09:00:00 GMT", LONGEST_RETRY_AFTER),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("1e3", None),
    ],
)
def test_retry_after(value: str, wait: int | None) -> None:
    """Seconds or one of three dates (RFC 9110, 10.2.3 and 5.6.7); 24 hours at most; nonsense is none."""
    assert retry_after(value, NOW) == wait


@given(st.text(max_size=60))
def test_retry_after_takes_any_text(value: str) -> None:
    """Whatever a receiver writes: a wait within bounds, or none."""
    wait = retry_after(value, NOW)
    assert wait is None or 0 <= wait <= LONGEST_RETRY_AFTER
