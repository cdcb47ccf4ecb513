"""Test times as people write them: relative, local and exact ones."""

from typing import Final
from zoneinfo import ZoneInfo

import pytest

from packhook.core.clock import from_rfc3339, to_rfc3339
from packhook.core.times import parse_time

NOW: Final = from_rfc3339("2026-11-30T13:05:07.250Z")
BERLIN: Final = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", "2026-11-30T13:05:07.250Z"),
        ("2h", "2026-11-30T11:05:07.250Z"),
        ("30m ago", "2026-11-30T12:35:07.250Z"),
        ("1.5h", "2026-11-30T11:35:07.250Z"),
        ("3d", "2026-11-27T13:05:07.250Z"),
        ("today", "2026-11-29T23:00:00.000Z"),
        (" Yesterday ", "2026-11-28T23:00:00.000Z"),
        ("2026-11-30", "2026-11-29T23:00:00.000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000Z"),
        ("2026-11-30T09:30", "2026-11-30T08:30:00.000Z"),
        ("2026-11-30 09:30:15", "2026-11-30T08:30:15.000Z"),
        ("2026-11-30T09:30:00.125Z", "2026-11-30T09:30:00.125Z"),
        ("2026-11-30T09:30:00+05:30", "2026-11-30T04:00:00.000Z"),
    ],
)
def test_a_time_as_people_write_it(text: str, instant: str) -> None:
    """Durations are ago, days begin at midnight in local time, also on the other side of summer time."""
    assert to_rfc3339(parse_time(text, NOW, BERLIN)) == instant


def test_without_a_zone_it_is_the_machines() -> None:
    """A day ends at its own next midnight: what is written without a zone is local."""
    hours = (parse_time("today", NOW) - parse_time("2026-11-30", NOW)) / 3_600_000
    assert abs(hours) in (0, 24)
    assert to_rfc3339(parse_time("2h", NOW)) == "2026-11-30T11:05:07.250Z"


@pytest.mark.parametrize("text", ["", "soon", "2 weeks", "2026-13-01", "-2h", "99999999999d", "25:00"])
def test_what_is_no_time_is_named(text: str) -> None:
    """With examples of what was expected, and what came."""
    with pytest.raises(ValueError, match="expected a time such as 2h") as error:
        parse_time(text, NOW, BERLIN)
    assert repr(text) in str(error.value)
