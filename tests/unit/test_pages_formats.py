"""Test how pages write times, figures and what came from outside."""

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.web import formats

NOW = 1_796_032_800_000  # 2026-11-30T10:00:00Z


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (0, "just now"),
        (3 * SECOND, "3 seconds ago"),
        (MINUTE, "1 minute ago"),
        (41 * MINUTE, "41 minutes ago"),
        (25 * HOUR, "1 day ago"),
        (-2 * HOUR, "in 2 hours"),
        (-3 * DAY, "in 3 days"),
    ],
)
def test_an_instant_is_said_as_people_say_it(distance: int, expected: str) -> None:
    """Name one unit, and whether it was or will be."""
    assert formats.relative(NOW - distance, NOW) == expected


def test_an_address_breaks_after_its_parts() -> None:
    """Leave the text as it is: only places where a line may end are added."""
    url = "https://shop.example/hooks/<b>?a=1&b=2"
    assert formats.address(url) == "shop.example/<wbr>hooks/<wbr>&lt;b&gt;?<wbr>a=1&amp;<wbr>b=2"
    assert formats.address("http://shop.example") == "http://<wbr>shop.example"


def test_json_that_is_nested_too_deep_is_shown_as_it_is() -> None:
    """Show what cannot be laid out as lines."""
    nested = b"[" * 100_000
    assert formats.pretty_json(nested) == formats.body_text(nested)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0 ms"),
        (212, "212 ms"),
        (1_500, "1.5 s"),
        (15_000, "15 s"),
        (41 * MINUTE, "41 min"),
        (125 * MINUTE, "2 h 5 min"),
        (26 * HOUR, "1 d 2 h"),
        (30 * DAY, "30 d"),
    ],
)
def test_a_length_of_time_has_its_unit(milliseconds: int, expected: str) -> None:
    """Show two units at most, with a space that does not break."""
    assert formats.span(milliseconds).replace("\N{NARROW NO-BREAK SPACE}", " ") == expected


def test_a_time_tag_has_the_exact_time() -> None:
    """Show the relative time, and both exact forms in attributes."""
    tag = formats.time_tag(NOW - HOUR, NOW)
    assert tag == ('<time datetime="2026-11-30T09:00:00.000Z" title="30 Nov 2026, 09:00:00.000 UTC">1 hour ago</time>')


def test_times_within_a_sentence_are_readable_and_the_rest_is_escaped() -> None:
    """Replace RFC 3339 alone; what looks like it and is none stays."""
    found = formats.readable("<b> until 2026-11-30T09:20:01Z, or 2026-99-99T00:00:00Z")
    assert found == (
        '&lt;b&gt; until <time datetime="2026-11-30T09:20:01Z" title="30 Nov 2026, 09:20:01.000 UTC">'
        "09:20 UTC on 30 Nov</time>, or 2026-99-99T00:00:00Z"
    )


@pytest.mark.parametrize(
    ("share", "expected"),
    [(None, "\N{EN DASH}"), (0, "0 %"), (1, "100 %"), (0.99999, "99.9 %"), (0.00001, "0.1 %"), (0.987, "98.7 %")],
)
def test_only_everything_is_100_per_cent(share: float | None, expected: str) -> None:
    """Round neither up to all nor down to none."""
    assert formats.percent(share).replace("\N{NARROW NO-BREAK SPACE}", " ") == expected


def test_ids_lose_their_middle_and_urls_their_https() -> None:
    """Keep what tells them apart; plain http stays to be seen."""
    assert formats.short_id("evt_01a20b4b0b45762cb9d07c58682804ec") == "evt_…04ec"
    assert formats.short_id("northwind_shop") == "northwind_shop"
    assert formats.host_and_path("https://shop.example/in") == "shop.example/in"
    assert formats.host_and_path("http://shop.example/\u202e") == "http://shop.example/\\u202e"


def test_what_came_from_outside_is_text() -> None:
    """Escape what is not printable, and cut long lines."""
    assert formats.body_text(b"a\x00\x1b[31m\xe2\x80\xae\xff\r\nb") == "a\\x00\\x1b[31m\\u202e\ufffd\nb"
    assert len(formats.body_text(b"x" * 70_000)) < 3_000
    assert formats.pretty_json(b'{"a": "\\u202e"}') == '{\n  "a": "\\u202e"\n}'
    assert formats.pretty_json(b"no json") == "no json"
