"""Test what is read from an event's data: its subject and references, whatever the data hold."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from packhook.core.event_types import BUILT_IN, PUBLISHED_CODES, EventReader
from packhook.core.model import EventType
from packhook.core.subject import INVALID, MAX_LENGTH, NOTHING, About, is_pointer, pointer, subject_alone, tokens

CREATED = "order.created"
LIKE_AN_ORDER = EventType(
    code="parcel.lost",
    version=1,
    subject_pointer="/id",
    reference_pointers=("/reference", "/integration_reference"),
)
CHECKED = EventReader(structs.replace(LIKE_AN_ORDER, schema={"type": "object"}))
UNCHECKED = EventReader(LIKE_AN_ORDER)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def about(event_code: str, data: bytes) -> About:
    """Return what data of a built-in event type are about."""
    reader = BUILT_IN.reader(event_code)
    assert reader is not None
    return reader.read(data)


@pytest.mark.parametrize("event_code", PUBLISHED_CODES)
def test_an_order_is_known_by_its_id_and_its_references(event_code: str) -> None:
    """The subject is ``data.id``; the references are ``data.reference`` and ``data.integration_reference``."""
    data = b'{"reference": "A-1", "x": {"id": "no"}, "id": "ord_1", "integration_reference": "shop-7"}'
    assert about(event_code, data) == About("ord_1", "A-1", "shop-7")


@pytest.mark.parametrize(
    ("at", "data", "alone"),
    [
        ("/id", b'{"a": {"id": 1}, "id":  "ord_\\u0031", "b": []}', b'{"id":"ord_\\u0031"}'),
        ("/id", b'{"id": 7}', b"{}"),
        ("/id", b"{}", b"{}"),
        ("/id", b"null", b"{}"),
        ("", b'{"id": "ord_1"}', b"{}"),
        ("/a~1%/0/id", b'{"x": 1, "a/%": [{"id": "1", "y": 2}, {"id": "2"}]}', b'{"a/%":[{"id":"1"}]}'),
    ],
)
def test_the_subject_alone_is_its_member_as_it_was_published(at: str, data: bytes, alone: bytes) -> None:
    """Where it was: in objects and arrays, whatever their members are called. What has no subject has nothing."""
    assert subject_alone(at, data) == alone


@pytest.mark.parametrize("code", BUILT_IN.types)
def test_every_built_in_type_finds_its_texts_in_its_example(code: str) -> None:
    """Each pointer of a built-in type leads to a member of its schema, and the subject to a text."""
    event_type = BUILT_IN.types[code]
    found = about(code, json.dumps(event_type.example).encode())
    assert found.subject
    members = (event_type.schema or {})["properties"]
    assert {tokens(text)[0] for text in (event_type.subject_pointer, *event_type.reference_pointers)} <= set(members)


@pytest.mark.parametrize("value", ["null", "1", "[]", "{}", '""', '"\\u0000"', json.dumps("x" * (MAX_LENGTH + 1))])
def test_what_is_no_text_or_cannot_be_indexed_is_none(value: str) -> None:
    """A number, a text that is too long, one that PostgreSQL cannot store; the other texts count all the same."""
    data = b'{"id": "prc_1", "reference": %b}' % value.encode()
    assert [reader.read(data) for reader in (CHECKED, UNCHECKED)] == [About("prc_1")] * 2


def test_a_text_is_read_as_json_has_it() -> None:
    """Escapes are resolved, the longest text is whole, and the last of two members of one name counts."""
    longest = "ü" * MAX_LENGTH
    assert about(CREATED, json.dumps({"id": longest}).encode()).subject == longest
    for reader in (CHECKED, UNCHECKED):
        assert reader.read(b'{"id": "a", "id": "Z\\u00fcrich"}').subject == "Zürich"


@settings(deadline=None)
@given(JSON)
def test_any_data_have_texts_or_none(data: Any) -> None:  # noqa: ANN401 whatever JSON holds
    """Whatever was published, both ways of reading it find the same, and what they find can be stored."""
    encoded = json.dumps(data).encode()
    read: list[About | None] = []
    for reader in (CHECKED, UNCHECKED):
        try:
            read.append(reader.read(encoded))
        except INVALID:
            read.append(None)
    assert read[0] == read[1]
    assert (read[0] is None) == (not isinstance(data, dict))
    for text in structs.astuple(read[0] or NOTHING):
        assert len(text) <= MAX_LENGTH
        assert "\0" not in text
        text.encode()


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_pointer_finds_what_it_points_to(path: list[str], arrays: list[bool]) -> None:
    """Through objects and arrays, whatever the members are called; it is the pointer of its own tokens."""
    value: Any = "found"
    steps = [name if number == 0 or not arrays[number] else "1" for number, name in enumerate(path)]
    for number in reversed(range(len(steps))):
        value = {steps[number]: value} if number == 0 or not arrays[number] else ["other", value]
    text = pointer(steps)
    assert is_pointer(text)
    assert tokens(text) == tuple(steps)
    event_type = EventType(code="parcel.lost", version=1, subject_pointer=text, reference_pointers=(text + "/x",))
    for schema in (None, {"type": "object"}):
        reader = EventReader(structs.replace(event_type, schema=schema))
        assert reader.read(json.dumps(value).encode()) == About("found")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"ord_1"', b"[" * 100_000, b'{"id":"ord_1","x":"\\ud800"}'])
def test_data_that_are_no_object_are_refused(data: bytes) -> None:
    """By every way of reading; the reason is said."""
    for reader in (BUILT_IN.reader(CREATED), CHECKED, UNCHECKED):
        assert reader is not None
        with pytest.raises(INVALID):
            reader.read(data)
        assert reader.violations(data, "/data")


def test_pointers_lead_into_objects_and_arrays() -> None:
    """As RFC 6901 has it, with its escapes; one that leads nowhere gives nothing."""
    event_type = EventType(
        code="parcel.lost",
        version=1,
        subject_pointer="/a~1b/~0c",
        reference_pointers=("/items/1/id", "/items/01/id", "/items/9"),
    )
    for schema in (None, {"type": "object"}):
        read = EventReader(structs.replace(event_type, schema=schema)).read
        assert read(b'{"a/b": {"~c": "p_1"}, "items": [{}, {"id": "i_1"}]}') == About("p_1", "i_1")
        assert read(b'{"a/b": "no", "items": {"1": {"id": "named"}}}') == About("", "named")


@pytest.mark.parametrize("text", ["id", "/~", "/~2", "#/id", "/a~"])
def test_what_is_no_json_pointer(text: str) -> None:
    """It begins with a slash, and a tilde escapes."""
    assert not is_pointer(text)
