"""Ids, instants and errors: the small things that everything else relies on."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core import errors, ids
from packhook.core.clock import SystemClock, from_rfc3339, to_rfc3339

MAKERS = {
    ids.organization_id: "org_",
    ids.api_key_id: "key_",
    ids.webhook_id: "wh_",
    ids.event_id: "evt_",
    ids.delivery_id: "dlv_",
    ids.request_id: "req_",
}


def test_ids_have_their_prefix_and_no_dot() -> None:
    """A dot would blur what is signed: id.timestamp.body."""
    for make, prefix in MAKERS.items():
        assert re.fullmatch(prefix + "[0-9a-f]{32}", make())


def test_ids_sort_by_the_time_they_were_made() -> None:
    """Within one millisecond too."""
    made = [ids.event_id() for _ in range(5_000)]
    assert made == sorted(set(made))


@given(st.integers(0, 253_402_300_799_999))
def test_instants_survive_the_wire(instant: int) -> None:
    """RFC 3339 in UTC with milliseconds, there and back."""
    text = to_rfc3339(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert from_rfc3339(text) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01t00:00:00.5z", 500),
        ("1970-01-01 00:00:00.123456789Z", 123),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_other_spellings_of_an_instant(text: str, instant: int) -> None:
    """Offsets, fractions, lower case, a space for the T."""
    assert from_rfc3339(text) == instant


@pytest.mark.parametrize(
    "text",
    ["", "1970", "1970-01-01", "1970-01-01T00:00:00", "19700101T000000Z", "1970-W01-1T00:00:00Z",
     "1970-02-30T00:00:00Z",     "1970-01-01T24:01:00Z", "1970-01-01T00:00:60Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00",
     "١٩٧٠-01-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_instant(text: str) -> None:
    """ISO 8601 is wider than RFC 3339; the ends of the calendar cannot be told in UTC."""
    with pytest.raises(ValueError, match=r"\w"):
        from_rfc3339(text)


def test_the_systems_clock_tells_milliseconds() -> None:
    """Since 1970: a number between 2024 and 2100."""
    assert from_rfc3339("2024-01-01T00:00:00Z") < SystemClock().now() < from_rfc3339("2100-01-01T00:00:00Z")


def kinds(kind: type[errors.PackhookError]) -> Iterator[type[errors.PackhookError]]:
    """A kind of error and everything below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def test_errors_are_one_tree_with_a_code_and_a_title_each() -> None:
    """The docstring is the title; no two share a code."""
    every = list(kinds(errors.PackhookError))
    assert len({kind.code for kind in every}) == len(every) > 15
    assert all(kind.title().endswith(".") for kind in every)
    assert errors.NotFound().detail == errors.NotFound.title() == "No such thing here."
    assert str(errors.NotFound("no webhook 'x'")) == "no webhook 'x'"
