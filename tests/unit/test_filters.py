"""Test filters: what is refused when it is written, what a filter reads, and that no event makes one costly."""

import re
from contextlib import suppress
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhook.core.filter_text import FUNCTIONS, FilterRefused, pattern_cost
from packhook.core.filters import (
    COMPILED,
    MAX_DEPTH,
    MAX_STEPS,
    MAX_VALUES,
    STEPS_PER_VALUE,
    FilterCache,
    FilterFailed,
    FilterReader,
    compile_filter,
    reader_of,
)
from packhook.core.model import Event
from packhook.core.subscription import MATCH, NO_MATCH, Match, Subscription, matches
from packhook.service import rules

DATA: Final = {
    "id": "ord_1", "brand_id": "brd_1", "quantity": 3, "total": 9.5, "gift": True, "note": None, "größe": "XL",
    "lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 5}], "address": {"country": "DE"}, "at": "2026-08-02T09:30:00Z",
}  # fmt: skip


def event_of(data: Any) -> Event:  # noqa: ANN401 any JSON
    """Return an event with this data, which may be JSON already."""
    encoded = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Event(
        id="evt_1", organization_id="acme", event_code="order.created", data=encoded, created_at=1_785_663_000_125,
        subject="ord_1",
    )  # fmt: skip


def evaluate(text: str, data: Any = DATA) -> bool:  # noqa: ANN401 any JSON
    """Return what a filter says to an event with this data."""
    found = compile_filter(text)
    return found.evaluate(reader_of(event_of(data), [found]))


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "data.brand_id == 'brd_1'",
        "data.quantity > 2 && data.total < 10.0 && data.gift",
        "data.quantity > 2.5",
        "data.brand_id in ['brd_1', \"brd_2\"]",
        "data['brand_id'] != 'x' && data['größe'] == 'XL'",
        "data.address.country == 'DE'",
        "has(data.note) && !has(data.missing) && data.note == null",
        "data.missing == 1 || true",
        "data.lines.exists(line, line.sku == 'B' && line.n > 4)",
        "data.lines.all(line, line.n > 0) && data.lines.exists_one(line, line.n == 1)",
        "data.lines.filter(line, line.n > 1).size() == 1",
        "data.lines[0].sku == 'A' && size(data.lines) == 2",
        "'quantity' in data && data.exists(name, name == 'gift')",
        "data.id.startsWith('ord_') && data.id.endsWith('_1') && data.id.contains('d_')",
        "data.id.matches('^ord_[0-9]{1,4}$') && data.id.matches(r'^\\w+$')",
        "timestamp(data.at).getFullYear() == 2026",
        "timestamp(event.timestamp) > timestamp('2026-08-02T09:30:00Z')",
        "event.id == 'evt_1' && event.type == 'order.created' && event.subject == 'ord_1'",
        "event.timestamp == '2026-08-02T09:30:00.125Z'",
        "string(data.quantity) == '3' && int('3') == data.quantity && double('9.5') == data.total",
        "data.quantity == 3 ? true : false",
        "duration('90m').getHours() == 1",
        "data.total\n > 1.0",
    ],
)
def test_an_event_matches(text: str) -> None:
    """By its members, nested or listed, by the event's own, with the functions of CEL."""
    assert evaluate(text)
    assert not evaluate(f"!({text})")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.a >", "column 9: mismatched input 'the end'"),
        ("data.a ==\n  1 &&& 2", "line 2, column 7: '&' cannot stand here"),
        ("foo == 1", "column 1: there is no variable `foo`: a filter reads `data` and `event`"),
        ("1 == 1 && sise(data.a) == 1", "column 11: there is no function `sise`; did you mean `size`?"),
        ("event.typ == 'x'", "column 7: `event` has `id`, `type`, `timestamp`, `subject`"),
        ("event == 1", "column 10: `event` has"),
        ("data.lines.map(l, l.n) == [1]", "column 12: there is no function `map`"),
        ("data.l.exists(x, x.all(y, y))", "column 20: all() cannot stand within all(), exists() and the like"),
        ("data.l.exists(x, x == data.a)", "column 23: `data` cannot be read within all()"),
        ("data.l.exists(x, true) && x", "column 27: there is no variable `x`"),
        ("data.l.exists(data, true)", "column 15: give the item another name"),
        ("all(x, true)", "column 1: write list.all(item, condition)"),
        ("data.a.matches(data.b)", "column 8: write text.matches('…')"),
        ("matches('a', 'b')", "column 1: write text.matches('…')"),
        ("data.a.matches('(')", "column 16: this is no regular expression"),
        ("data.a.matches('(?:a{100}){100}b')", "column 16: the regular expression is too much work"),
        ("data.a.matches('\\\\w{50}')", "column 16: the regular expression is too much work"),
        ("data.a.matches('\\x5cw{50}')", "column 16: the regular expression is too much work"),
        ("(" * 21 + "true" + ")" * 21, "column 21: brackets are nested more than 20 deep"),
        ("[" * 400 + "]" * 400, "column 21: brackets are nested more than 20 deep"),
        ("data.a == 1 // true", "column 13: '/' cannot stand here"),
        ("'''a''' == 'a'", "column 1: "),
        ("r'''a''' == 'a'", "column 1: "),
        ("b'a' == b'a'", "column 1: there is no variable `b`"),
        ("data.?a == 1", "column 7: "),
        ("x" * 1_001, "expected at most 1,000 characters, got 1,001"),
        ("9" * 400 + " == 1", "column 1: "),
    ],
)
def test_what_is_no_filter_is_refused_in_words_with_its_place(text: str, message: str) -> None:
    """Syntax, unknown names, and what could be too much work."""
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        rules.filter_text(text)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.missing == 1", "there is no member `missing`"),
        ("data.brand_id > 1", "an operation does not fit the types of its values"),
        ("data.note > 1", "an operation does not fit"),
        ("data.quantity", "the result is a number, expected true or false"),
        ("'a' + 'b'", "the result is a text, expected true or false"),
        ("1 / (data.quantity - 3) == 1", "division by zero"),
        ("data.lines[7].n == 1", "index out of bounds"),
        ("timestamp(data.id) > timestamp(data.at)", "Function 'timestamp' error"),
    ],
)
def test_a_filter_without_a_value_says_why(text: str, message: str) -> None:
    """And counts as a match, so that no event is lost."""
    with pytest.raises(FilterFailed) as failed:
        evaluate(text)
    assert str(failed.value).startswith(message)
    subscription = Subscription("wh_1", 1, "order.created", enabled=True, verification_pending=False, filter=text)
    assert matches(subscription, event_of(DATA)) == Match(matches=True, filter_error=str(failed.value))


def test_every_function_is_one_of_the_library() -> None:
    """None is promised that it does not have."""
    calls = {
        "double": "double('1') == 1.0", "has": "has(data.id)", "int": "int('1') == 1", "size": "size('a') == 1",
        "string": "string(1) == '1'", "uint": "uint(1) == 1u", "timestamp": "timestamp(data.at) == timestamp(data.at)",
        "duration": "duration('1s') == duration('1s')", "contains": "'ab'.contains('a')",
        "endsWith": "'ab'.endsWith('b')", "startsWith": "'ab'.startsWith('a')", "matches": "'ab'.matches('a')",
        "all": "[1].all(x, x == 1)", "exists": "[1].exists(x, x == 1)", "exists_one": "[1].exists_one(x, x == 1)",
        "filter": "[1].filter(x, x == 1) == [1]",
    }  # fmt: skip
    dates = {name: f"timestamp(data.at).{name}() >= 0" for name in FUNCTIONS if name.startswith("get")}
    assert {name for name, text in (calls | dates).items() if evaluate(text)} == FUNCTIONS


LARGE: Final[dict[str, tuple[str, object]]] = {
    "a list that is too long to read": ("data.x == 1", {"x": [0] * (MAX_VALUES + 1)}),
    "a comprehension over a long list": ("data.x.all(i, i == 0 && i < 1 && i > -1 && i != 2)", {"x": [0] * 9_000}),
    "a text that is added up": ("(data.x" + " + data.x" * 20 + ").contains('z')", {"x": "y" * 200_000}),
    "an item that is added up": ("[data.x].exists(x, (x" + " + x" * 100 + ") == '')", {"x": "y" * 20_000}),
    "a pattern for each item": (r"data.x.exists(i, i.matches(r'\d'))", {"x": ["a"] * 100}),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_would_be_too_much_work_is_not_evaluated(what: str) -> None:
    """It is counted before it is done."""
    text, data = LARGE[what]
    with pytest.raises(FilterFailed, match="too large"):
        evaluate(text, data)


def test_an_event_is_read_once_and_only_where_filters_look() -> None:
    """Each of many filters finds what it names, and the work is counted by what was read."""
    filters = [compile_filter(f"data.brand_id == 'brd_{number}'") for number in range(50)]
    reader = reader_of(event_of({**DATA, "unread": [0] * 100_000}), filters)
    assert [number for number, item in enumerate(filters) if item.evaluate(reader)] == [1]
    assert reader.steps < 50 * 20 + 100_000 // 50
    broken = compile_filter("data.unread == 1")
    shared = reader_of(event_of({**DATA, "unread": [0] * 100_000}), [*filters, broken])
    with pytest.raises(FilterFailed, match="too large"):
        broken.evaluate(shared)
    assert filters[1].evaluate(shared)


@pytest.mark.parametrize(
    "data",
    [
        b'{"x": %b%b}' % (b"[" * (MAX_DEPTH + 2), b"]" * (MAX_DEPTH + 2)),
        b'{"x": %b%b}' % (b'{"a":' * 90 + b"1", b"}" * 90),
        b'{"x": 1e999}',
        b'{"x": %b}' % (b"9" * 400),
        b'{"x": %b%b}' % (b"[" * 5_000, b"]" * 5_000),
        b"[]",
    ],
)
def test_data_that_cannot_be_read_is_a_failure_of_those_filters_alone(data: bytes) -> None:
    """Values nested too deeply would overflow the stack of the library: they are never given to it."""
    reads = compile_filter("data.x == 1")
    with pytest.raises(FilterFailed):
        reads.evaluate(reader_of(event_of(data), [reads]))
    if data.startswith((b'{"x": 1e', b'{"x": 9')):
        other = compile_filter("!has(data.y)")
        assert other.evaluate(reader_of(event_of(data), [reads, other]))


def test_brackets_in_a_text_are_no_nesting() -> None:
    """A text of a thousand brackets is read."""
    assert evaluate("data.x.all(i, i.contains('['))", {"x": ["[{" * 500]})


@pytest.mark.parametrize(("pattern", "cost"), [("a", 1), ("a{3}", 12), (r"\d{2,4}", 428), ("(a{100}){100}", 130_000)])
def test_the_cost_of_a_pattern(pattern: str, cost: int) -> None:
    """Counted repetitions multiply it, and classes of Unicode are expensive."""
    assert pattern_cost(pattern) == cost


PIECES: Final = st.sampled_from(
    ["data", "event", ".", "(", ")", "[", "]", "{", "}", ",", ":", "?", "&&", "||", "!", "-", "+", "*", "/", "%", "==",
     "<", "in", "true", "null", "1", "-1", "9223372036854775807", "1u", "1.5", "'a'", '"b"', "r'\\'", "data.lines",
     "data.quantity", "event.id", ".all(x,", ".exists(x,", ".filter(x,", "x", "size(", ".size()", "has(", "//", "`",
     ".matches('a')", "timestamp(", "duration(", "int(", "string(", ".getHours()", "'é😀'", "\\", "'''", "\n"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=40))
@example("-(-9223372036854775807 - 1) == 1")
@example("!" * 990 + "true")
@example("1" + "+1" * 400 + " == 401")
@example("true" + " || true" * 120)
@example("data" + ".a" * 480)
@example("-9223372036854775808 / -1 == 1")
def test_whatever_is_written_is_refused_or_has_a_bound(text: str) -> None:
    """No text ends in anything but a refusal, a failure or a value; nor does it take more steps than allowed."""
    try:
        found = compile_filter(text)
    except FilterRefused:
        return
    reader = reader_of(event_of(DATA), [found])
    with suppress(FilterFailed):
        assert found.evaluate(reader) in (True, False)
    assert reader.steps <= 2 * MAX_STEPS + STEPS_PER_VALUE * MAX_VALUES


def test_a_stored_filter_is_compiled_once() -> None:
    """One that is none by now, as the library reads it, counts as a match like any failure."""
    cache = FilterCache()
    assert cache.get("data.a == 1") is cache.get("data.a == 1")
    subscription = Subscription("wh_1", 1, "order.created", enabled=True, verification_pending=False, filter="data.")
    assert matches(subscription, event_of(DATA)).filter_error != ""
    assert isinstance(COMPILED.get("data."), FilterRefused)


def test_a_match_needs_the_code_before_the_filter() -> None:
    """A filter is not asked about events that the webhook does not get anyway."""
    plain = Subscription(
        "wh_1", 1, "order.created", enabled=True, verification_pending=False, filter="data.quantity == 3"
    )
    of_event = event_of(DATA)
    reader = FilterReader(of_event, frozenset({"quantity"}), reads_event=False)
    assert matches(plain, of_event, reader) == MATCH
    assert matches(msgspec.structs.replace(plain, filter="data.quantity == 4"), of_event) == NO_MATCH
    assert matches(msgspec.structs.replace(plain, event_code="order.shipped", filter="data.x"), of_event) == NO_MATCH
    assert matches(msgspec.structs.replace(plain, enabled=False), of_event) == NO_MATCH
