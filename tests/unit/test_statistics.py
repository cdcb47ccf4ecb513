"""Test the counts of attempts: classes of outcomes and latencies, percentiles and their error, buckets and steps."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.model import Attempt, FailureKind
from packhook.core.statistics import (
    COARSE,
    FINE,
    NO_LATENCY,
    AttemptCount,
    BucketKey,
    OutcomeClass,
    bucket_keys,
    bucket_of,
    classify,
    latency_class,
    percentile,
    roll_up_before,
    summarize,
)
from packhook.testing.clock import START

NINE = START - START % DAY + 9 * HOUR
MAX_ERROR = 0.125
LONGEST = 31_623

durations = st.integers(min_value=0, max_value=LONGEST)


def attempt(duration: int, status_code: int | None = 200, error_code: str = "") -> Attempt:
    """Return an attempt that began at the start time."""
    return Attempt(
        number=1,
        started_at=START,
        duration=duration,
        url="https://myapp.packcloud.local/",
        request_headers="{}",
        status_code=status_code,
        error_code=error_code,
    )


@pytest.mark.parametrize(
    ("kind", "status_code", "expected"),
    [
        (None, 204, OutcomeClass.DELIVERED),
        (FailureKind.REDIRECT, 302, OutcomeClass.REDIRECT),
        (FailureKind.STATUS, 404, OutcomeClass.CLIENT_ERROR),
        (FailureKind.GONE, 410, OutcomeClass.CLIENT_ERROR),
        (FailureKind.THROTTLED, 429, OutcomeClass.THROTTLED),
        (FailureKind.STATUS, 500, OutcomeClass.SERVER_ERROR),
        (FailureKind.STATUS, 599, OutcomeClass.SERVER_ERROR),
        (FailureKind.TIMEOUT, None, OutcomeClass.TIMEOUT),
        (FailureKind.DNS, None, OutcomeClass.CONNECTION_FAILED),
        (FailureKind.CONNECT, None, OutcomeClass.CONNECTION_FAILED),
        (FailureKind.TLS, None, OutcomeClass.CONNECTION_FAILED),
        (FailureKind.RESET, None, OutcomeClass.CONNECTION_FAILED),
        (FailureKind.TUNNEL, None, OutcomeClass.CONNECTION_FAILED),
        (FailureKind.BLOCKED, None, OutcomeClass.OTHER),
        (FailureKind.PROTOCOL, None, OutcomeClass.OTHER),
        (FailureKind.INTERNAL, None, OutcomeClass.OTHER),
    ],
)
def test_an_outcome_has_one_class(kind: FailureKind | None, status_code: int | None, expected: OutcomeClass) -> None:
    """By the failure, and for a status by its hundreds."""
    assert classify(attempt(40, status_code, kind.value if kind else ""))[0] == expected


@pytest.mark.parametrize(
    ("kind", "status_code", "latency"),
    [
        (None, 200, 40),
        (FailureKind.STATUS, 500, 40),
        (FailureKind.TIMEOUT, None, 40),
        (FailureKind.CONNECT, None, NO_LATENCY),
        (FailureKind.BLOCKED, None, NO_LATENCY),
    ],
)
def test_only_a_receivers_time_is_a_latency(kind: FailureKind | None, status_code: int | None, latency: int) -> None:
    """A response or a timeout has one; a connection that failed says nothing about it."""
    assert classify(attempt(33, status_code, kind.value if kind else ""))[1] == latency


def test_an_attempt_counts_when_it_ended() -> None:
    """In the five minutes of its last instant."""
    begins = START - START % (5 * MINUTE)
    until = begins + 5 * MINUTE - START
    assert bucket_of(attempt(until - 1)) == begins
    assert bucket_of(attempt(until)) == begins + 5 * MINUTE


@given(st.lists(durations, min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_nearly_exact(taken: list[int], percent: int) -> None:
    """It differs from the value at its rank by at most 12.5 %."""
    rank = -(-len(taken) * percent // 100)
    exact = max(1, sorted(taken)[rank - 1])
    found = percentile(Counter(map(latency_class, taken)), percent)
    assert found is not None
    assert abs(found - exact) <= MAX_ERROR * exact


def test_the_error_of_every_duration_is_bounded() -> None:
    """From a millisecond to longer than any attempt may take."""
    errors = {
        taken: abs((percentile(Counter({latency_class(taken): 1}), 50) or 0) - taken) / taken
        for taken in range(1, LONGEST + 1)
    }
    assert max(errors.values()) <= MAX_ERROR


def test_there_is_no_percentile_without_latencies() -> None:
    """An empty series has none, and neither has one of failed connections."""
    empty = summarize(NINE, [])
    assert (empty.attempts, empty.success_rate, empty.p50, empty.last_success_at) == (0, None, None, None)
    refused = summarize(NINE, [AttemptCount("connection_failed", NO_LATENCY, 3, 1, START)])
    assert (refused.attempts, refused.exhausted, refused.success_rate, refused.p95) == (3, 1, 0.0, None)


def test_buckets_belong_to_the_step_in_which_they_begin() -> None:
    """Hours and five minutes are both read, the latter only from the first one that is left."""
    steps = (NINE, NINE + HOUR)
    found = list(bucket_keys(steps, NINE + 2 * HOUR, NINE + HOUR + 50 * MINUTE))
    assert found == [
        BucketKey(COARSE, NINE, NINE),
        BucketKey(COARSE, NINE + HOUR, NINE + HOUR),
        BucketKey(FINE, NINE + HOUR + 50 * MINUTE, NINE + HOUR),
        BucketKey(FINE, NINE + HOUR + 55 * MINUTE, NINE + HOUR),
    ]
    odd = list(bucket_keys((NINE + 1,), NINE + 10 * MINUTE, 0))
    assert odd == [BucketKey(FINE, NINE + 5 * MINUTE, NINE + 1)]
    assert list(bucket_keys((NINE,), NINE + HOUR, None)) == [BucketKey(COARSE, NINE, NINE)]


def test_whole_hours_are_joined_after_a_day() -> None:
    """So the last 24 hours always have their five minutes."""
    assert roll_up_before(NINE) == NINE - DAY
    assert roll_up_before(NINE + HOUR - 1) == NINE - DAY
