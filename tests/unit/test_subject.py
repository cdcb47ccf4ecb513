"""Test what is read from an event's data: its subject and references, whatever the data hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core import subject
from packhook.core.event_types import EVENT_CODES, PUBLISHED_CODES
from packhook.core.model import Event
from packhook.core.subject import MAX_LENGTH, NOTHING, POINTERS, About, Pointers, about, with_subject

CREATED = "order.created"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("event_code", PUBLISHED_CODES)
def test_an_order_is_known_by_its_id_and_its_references(event_code: str) -> None:
    """The subject is ``data.id``; the references are ``data.reference`` and ``data.integration_reference``."""
    data = b'{"reference": "A-1", "x": {"id": "no"}, "id": "ord_1", "integration_reference": "shop-7"}'
    assert about(event_code, data) == About("ord_1", "A-1", "shop-7")


def test_every_event_type_has_its_pointers() -> None:
    """A code without them has no subject."""
    assert set(POINTERS) == set(EVENT_CODES)
    assert about("order.unknown", b'{"id": "ord_1"}') == NOTHING


@pytest.mark.parametrize("value", ["null", "1", "[]", "{}", '""', '"\\u0000"', json.dumps("x" * (MAX_LENGTH + 1))])
def test_what_is_no_text_or_cannot_be_indexed_is_none(value: str) -> None:
    """A number, a text that is too long, one that PostgreSQL cannot store; the other texts count all the same."""
    assert about(CREATED, b'{"id": "ord_1", "reference": %b}' % value.encode()) == About("ord_1")


def test_a_text_is_read_as_json_has_it() -> None:
    """Escapes are resolved, the longest text is whole, and the last of two members of one name counts."""
    longest = "ü" * MAX_LENGTH
    assert about(CREATED, json.dumps({"id": longest}).encode()).subject == longest
    assert about(CREATED, b'{"id": "a", "id": "Z\\u00fcrich"}').subject == "Zürich"


@given(JSON)
def test_any_data_have_texts_or_none(data: Any) -> None:  # noqa: ANN401 whatever JSON holds
    """Whatever was published, reading it raises nothing and gives what can be stored."""
    found = about(CREATED, json.dumps(data).encode())
    for text in (found.subject, found.reference_1, found.reference_2, found.reference_3):
        assert len(text) <= MAX_LENGTH
        assert "\0" not in text
        text.encode()


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"ord_1"', b"[" * 100_000, b'{"id":"ord_1","x":"\\ud800"}'])
def test_data_that_are_no_object_are_about_nothing(data: bytes) -> None:
    """Nothing is raised, also where a text in it cannot be decoded."""
    assert about(CREATED, data) == NOTHING


def test_pointers_lead_into_objects_and_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As RFC 6901 has it, with its escapes; one that leads nowhere gives nothing."""
    pointers = Pointers(subject="/a~1b/~0c", references=("/items/1/id", "/items/01x", "/items/9"))
    monkeypatch.setitem(subject._PATHS, "parcel.lost", subject._paths(pointers))
    assert about("parcel.lost", b'{"a/b": {"~c": "p_1"}, "items": [{}, {"id": "i_1"}]}') == About("p_1", "i_1")
    assert about("parcel.lost", b'{"a/b": "no", "items": {"1": {"id": "named"}}}') == About("", "named")


def test_an_event_gets_what_its_data_say() -> None:
    """And its references are those that it has."""
    event = Event(id="evt_1", organization_id="acme", event_code=CREATED, data=b'{"id": "ord_1"}', created_at=1)
    assert with_subject(event).subject == "ord_1"
    assert with_subject(event).references == ()
