"""Test ids, instants and errors."""

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core import errors, ids
from packhook.core.clock import SystemClock, from_rfc3339, to_rfc3339

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def _delivery_id() -> str:
    return ids.delivery_id(SystemClock().now())


MAKERS = {
    ids.organization_id: "org_",
    ids.api_key_id: "key_",
    ids.webhook_id: "wh_",
    ids.event_id: "evt_",
    _delivery_id: "dlv_",
    ids.request_id: "req_",
}


def test_ids_have_their_prefix_and_no_dot() -> None:
    """A dot would make the signed text ambiguous: id.timestamp.body."""
    for make, prefix in MAKERS.items():
        assert re.fullmatch(prefix + "[0-9a-f]{32}", make())


@given(st.lists(st.sampled_from([0, 1, 1_722_589_200_000, 2**48 - 1]), max_size=50))
def test_delivery_ids_sort_by_instant_and_then_by_creation(instants: list[int]) -> None:
    """With any clocks; each is at or after the lower bound of its instant, and before that of the next."""
    made = [(at, ids.delivery_id(at)) for at in sorted(instants)]
    assert [delivery_id for _, delivery_id in made] == sorted(delivery_id for _, delivery_id in made)
    assert len({delivery_id for _, delivery_id in made}) == len(made)
    for at, delivery_id in made:
        assert ids.delivery_id_lower_bound(at) < delivery_id
        assert at == 2**48 - 1 or delivery_id < ids.delivery_id_lower_bound(at + 1)
        assert delivery_id[16] == "7"
        assert delivery_id[20] in "89ab"


@pytest.mark.parametrize("bits", [28, 30, 40])
def test_delivery_ids_of_one_instant_sort_when_their_counter_carries(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over the bits of the variant, which are in its middle (RFC 9562, 5.7)."""
    ids.delivery_id(1)
    monkeypatch.setattr(ids._counter, "_count", 2**bits - 3)
    made = [ids.delivery_id(1) for _ in range(6)]
    assert made == sorted(made)
    numbers = [uuid.UUID(delivery_id.removeprefix("dlv_")) for delivery_id in made]
    assert {(number.int >> 80, number.version, number.variant) for number in numbers} == {(1, 7, uuid.RFC_4122)}
    counts = [(number.int >> 64 & 0xFFF) << 30 | number.int >> 32 & 0x3FFF_FFFF for number in numbers]
    assert counts == list(range(2**bits - 2, 2**bits + 4))


@pytest.mark.parametrize("at", [-(2**70), -1, 2**48, 2**70])
def test_an_instant_that_no_id_has_is_before_or_after_all(at: int) -> None:
    """So any time may be queried."""
    assert (ids.delivery_id_lower_bound(at) <= ids.delivery_id_lower_bound(0)) == (at < 0)
    assert len(ids.delivery_id_lower_bound(at)) == len(ids.delivery_id_lower_bound(0))


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_ids_have_the_documented_characters_and_length(make: Callable[[], str]) -> None:
    """1 to 64 of A-Z a-z 0-9 _ -: the prefix, then a UUIDv7 (RFC 9562, 5.7), which begins with its time."""
    before = SystemClock().now()
    made = make()
    after = SystemClock().now()
    assert ids.ORGANIZATION_ID.fullmatch(made)
    number = uuid.UUID(made.rpartition("_")[2])
    assert (number.version, number.variant) == (7, uuid.RFC_4122)
    assert before <= number.int >> 80 <= after


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("a", True),
        ("Packs-R_us-1", True),
        ("x" * 64, True),
        ("", False),
        ("x" * 65, False),
        ("a.b", False),
        ("a b", False),
        ("a\n", False),
        ("ü", False),
        ("٣", False),
        ("a/b", False),
    ],
)
def test_which_ids_an_operator_may_choose(text: str, allowed: bool) -> None:
    """None with a character that has a meaning in a path or in the signed text."""
    assert bool(ids.ORGANIZATION_ID.fullmatch(text)) == allowed


def test_ids_sort_by_the_time_they_were_made() -> None:
    """Within one millisecond too."""
    made = [ids.event_id() for _ in range(5_000)]
    assert made == sorted(set(made))


@given(st.integers(0, 253_402_300_799_999))
def test_instants_round_trip(instant: int) -> None:
    """RFC 3339 in UTC with milliseconds, written and parsed."""
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
def test_invalid_instants(text: str) -> None:
    """ISO 8601 is wider than RFC 3339; the ends of the calendar do not exist in UTC."""
    with pytest.raises(ValueError, match=r"\w"):
        from_rfc3339(text)


def test_the_system_clock_returns_milliseconds() -> None:
    """Since 1970: a number between 2024 and 2100."""
    assert from_rfc3339("2024-01-01T00:00:00Z") < SystemClock().now() < from_rfc3339("2100-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_722_589_200_125, "2024-08-02T09:00:00.125Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_format_of_an_instant(instant: int, text: str) -> None:
    """UTC, three digits of milliseconds, Z."""
    assert (to_rfc3339(instant), from_rfc3339(text)) == (text, instant)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9990, 1, 1), timezones=offsets))  # noqa: DTZ001 the zone is drawn apart
def test_any_moment_in_any_zone_is_one_instant(moment: datetime) -> None:
    """To the millisecond, truncated and not rounded."""
    assert from_rfc3339(moment.isoformat()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@given(st.text(max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    """With ValueError and nothing else."""
    try:
        assert isinstance(from_rfc3339(text), int)
    except ValueError:
        return


def test_an_instant_of_the_first_millennium() -> None:
    """RFC 3339 has four digits of year."""
    assert to_rfc3339(from_rfc3339("0800-12-25T00:00:00Z")) == "0800-12-25T00:00:00.000Z"


def kinds(kind: type[errors.PackhookError]) -> Iterator[type[errors.PackhookError]]:
    """Yield an error class and all its subclasses."""
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def test_errors_are_one_tree_with_a_code_and_a_title_each() -> None:
    """Each title is a sentence; no two share a code."""
    every = list(kinds(errors.PackhookError))
    assert len({kind.code for kind in every}) == len(every) > 15
    assert all(kind.title().endswith(".") for kind in every)
    assert str(errors.NotFound()) == errors.NotFound().detail == errors.NotFound.title() == "No such thing here."
    assert str(errors.NotFound("no webhook 'x'")) == "no webhook 'x'"


@pytest.mark.parametrize("kind", list(kinds(errors.PackhookError)), ids=lambda kind: kind.__name__)
def test_an_error_has_its_own_title(kind: type[errors.PackhookError]) -> None:
    """Not its parent's: each says what went wrong in one sentence; its code is its own, in snake case."""
    assert "_title" in vars(kind)
    assert "code" in vars(kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


def test_invalid_input_has_every_field() -> None:
    """All of them at once, as values and as text."""
    wrong = [
        errors.FieldError("/endpoint", "invalid", "expected a URL that begins with https://"),
        errors.FieldError("/secret", "missing", "required"),
    ]
    error = errors.InvalidInput(wrong)
    assert error.errors == wrong
    assert error.detail == str(error) == "/endpoint: expected a URL that begins with https://; /secret: required"


def test_unavailable_has_retry_after() -> None:
    """In seconds, at least one."""
    assert [errors.Unavailable().retry_after_seconds, errors.RateLimited().retry_after_seconds] == [1, 1]
    assert errors.RateLimited("too many", retry_after_seconds=7).retry_after_seconds == 7


def test_errors_are_grouped_by_cause() -> None:
    """The request, the service, or the start."""
    families = (errors.RequestError, errors.Unavailable, errors.StartError)
    every = [kind for kind in kinds(errors.PackhookError) if kind is not errors.PackhookError]
    assert [sum(issubclass(kind, family) for family in families) for kind in every] == [1] * len(every)
