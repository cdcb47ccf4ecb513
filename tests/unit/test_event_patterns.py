"""Test which event codes a pattern covers."""

import pytest

from packhook.core.event_patterns import covers, is_pattern
from packhook.core.event_types import BUILT_IN, EVENT_CODES, nearest


@pytest.mark.parametrize(
    ("pattern", "codes"),
    [
        ("*", ("order.canceled", "order.created", "order.shipped")),
        ("order.*", ("order.canceled", "order.created", "order.shipped")),
        ("order.created", ("order.created",)),
        ("webhook.*", ("webhook.failing", "webhook.disabled", "webhook.recovered")),
        ("delivery.*", ("delivery.exhausted",)),
        ("replay.finished", ("replay.finished",)),
        ("order.created.*", ()),
        ("orde.*", ()),
    ],
)
def test_a_pattern_covers_operational_events_only_where_it_names_them(pattern: str, codes: tuple[str, ...]) -> None:
    """Of all codes there are, these and no others."""
    assert set(BUILT_IN.codes_of([pattern])) == set(codes)
    assert [code for code in EVENT_CODES if covers(pattern, code)] == list(BUILT_IN.codes_of([pattern]))


def test_a_prefix_ends_at_a_dot() -> None:
    """``order.*`` has nothing to do with ``orders.created``."""
    assert not covers("order.*", "orders.created")
    assert covers("order.*", "order.line.added")
    assert covers("order.line.*", "order.line.added")


@pytest.mark.parametrize(
    "text", ["", "order", "order.", "*.*", "order*", "order.**", "Order.*", "1a.*", ".*", "a.*.b", "*\n"]
)
def test_what_is_no_pattern(text: str) -> None:
    """A pattern is ``*``, or whole parts of a code and ``.*``."""
    assert not is_pattern(text)


@pytest.mark.parametrize("text", ["arcel.s250_seen", "parcel.s250_sen", "parcel.x250_seen", "parcel.s25x_seen"])
def test_the_nearest_of_many_codes_begins_or_ends_alike(text: str) -> None:
    """Only so many are compared, or a request with many unknown codes would take seconds."""
    codes = [f"parcel.s{number}_seen" for number in range(500)]
    assert nearest(text, codes) in {f"parcel.s{number}_seen" for number in (25, 250, *range(250, 260))}


def test_a_text_like_none_of_the_codes_has_no_nearest() -> None:
    """There is nothing to propose."""
    assert nearest("x", ["order.created", "order.shipped"]) is None
    assert nearest("x", []) is None
