"""Fuzz ``Retry-After``: whatever an endpoint sends is a wait of 0 to 24 hours, or None."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from packhook.core.clock import SECOND
from packhook.core.retry_policy import MAX_RETRY_AFTER, retry_after
from unit.fuzz import fuzzed

NOW: Final = 1_722_589_200_000
pieces: Final = st.sampled_from(
    [
        "Fri",
        ",",
        " ",
        "02",
        "Aug",
        "2024",
        "09:10:00",
        "GMT",
        "+9999",
        "-2359",
        "99999999999",
        "Feb 30",
        "0001",
        "9999",
        "-",
        ":",
    ]
)
texts: Final = st.text(max_size=40) | st.lists(pieces | st.text(max_size=3), max_size=8).map("".join)


@fuzzed
@given(texts, st.integers(0, 4_000_000_000_000))
def test_any_value_is_a_wait_within_bounds_or_none(text: str, now: int) -> None:
    """No value raises, at any time."""
    wait = retry_after(text, now)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@fuzzed
@given(st.integers(0, 10**12), st.sampled_from(["", " ", "\t"]))
def test_a_number_is_a_wait_in_seconds(seconds: int, space: str) -> None:
    """At most a day."""
    assert retry_after(f"{space}{seconds}{space}", NOW) == min(seconds * SECOND, MAX_RETRY_AFTER)


@fuzzed
@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0)))  # noqa: DTZ001 UTC below
def test_a_date_is_the_wait_until_then(moment: datetime) -> None:
    """In each of the three forms of HTTP; a date in the past means no wait."""
    at = moment.replace(tzinfo=UTC)
    wait = max(0, min(round(at.timestamp() * SECOND) - NOW, MAX_RETRY_AFTER))
    assert retry_after(format_datetime(at, usegmt=True), NOW) == wait
    assert retry_after(at.strftime("%a %b %e %H:%M:%S ") + f"{at.year:04}", NOW) == wait
