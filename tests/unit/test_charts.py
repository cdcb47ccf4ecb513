"""Test that charts say what their figures are."""

import re
from xml.etree import ElementTree as ET

import pytest

from packhook.core.clock import HOUR
from packhook.core.statistics import OutcomeClass, Summary
from packhook.web import charts

START = 1_796_032_800_000  # 2026-11-30T10:00:00Z


def _parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 our own picture


def _summary(number: int, delivered: int, failed: int = 0, exhausted: int = 0, p50: int | None = None) -> Summary:
    outcomes = dict.fromkeys(OutcomeClass, 0) | {
        OutcomeClass.DELIVERED: delivered,
        OutcomeClass.TIMEOUT: failed + exhausted,
    }
    return Summary(start=START + number * HOUR, outcomes=outcomes, exhausted=exhausted, p50=p50, p95=p50, p99=p50)


POINTS = (_summary(0, 10, 5, 1, p50=100), _summary(1, 0), _summary(2, 20, p50=30_000))


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 1), (1, 1), (7, 8), (11, 12), (99, 100), (101, 120), (184_203, 200_000)]
)
def test_the_top_is_a_round_number(value: float, expected: float) -> None:
    """Never below the value, and not far above it."""
    assert charts.nice_maximum(value) == expected


def test_bars_are_stacked_to_scale_with_their_figures() -> None:
    """Draw a part for each amount that is not zero, from the bottom up; say the figures on hover."""
    picture = _parsed(charts.bars(POINTS, step=HOUR))
    first, second, third = picture.findall("g")
    heights = [float(bar.attrib["height"]) for bar in first.findall("rect")[1:]]
    assert heights == [pytest.approx(amount / 20 * charts.HEIGHT) for amount in (10, 5, 1)]
    assert [bar.attrib["class"] for bar in first.findall("rect")] == ["cover", "delivered", "failed", "exhausted"]
    assert first.findtext("title") == "10:00 to 11:00: 10 delivered, 5 failed, tried again, 1 given up"
    assert (second.findtext("title"), len(second.findall("rect"))) == ("11:00 to 12:00: no attempts", 1)
    assert float(third.findall("rect")[1].attrib["y"]) == 0


def test_a_bar_leads_to_its_list() -> None:
    """Escape the address; a bar takes no place in the order of the tab key, because the table has the same link."""
    picture = _parsed(charts.bars(POINTS, lambda point: f'/x?a=1&b="{point.start}"'))
    link = picture.findall("a")[0]
    assert (link.attrib["href"], link.attrib["tabindex"]) == (f'/x?a=1&b="{START}"', "-1")


def test_half_of_a_small_scale_is_a_whole_number() -> None:
    """Count attempts: there is no half of one."""
    assert charts.scale([_summary(0, 5)]) == ["6", "3", "0"]


def test_lines_have_gaps_where_no_receiver_responded() -> None:
    """Draw one line for each run of neighbours, within the picture."""
    picture = _parsed(charts.lines(POINTS))
    medians = [line.attrib["points"] for line in picture.findall("polyline") if line.attrib["class"] == "p50"]
    assert len(medians) == 2
    heights = [float(y) for y in re.findall(r",([\d.]+)", " ".join(medians))]
    assert heights[0] > heights[-1] == 16.7  # 30 s on a scale that ends at 100 s
    assert max(heights) <= charts.HEIGHT


def test_axes_have_as_many_labels_as_parts() -> None:
    """Label equal parts of a day by the time, those of a week by the day."""
    day = [_summary(number, 1) for number in range(24)]
    assert charts.labels(day, START + 24 * HOUR) == ["10:00", "14:00", "18:00", "22:00", "02:00", "06:00"]
    week = [_summary(number * 3, 1) for number in range(56)]
    assert charts.labels(week, START + 168 * HOUR)[:2] == ["30 Nov", "1 Dec"]
    assert charts.labels((), START) == []
    assert charts.scale(POINTS) == ["20", "10", "0"]
    assert _parsed(charts.spark(POINTS)).attrib["class"] == "spark"
