"""Fuzz query parameters and cursors: each is read by its rule, or refused with every error."""

import base64
from typing import Final
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from packhook.api.parameters import DELIVERIES
from packhook.core.errors import InvalidInput
from packhook.core.model import Organization
from packhook.service.pagination import MAX_PER_PAGE, listing, page_request
from packhook.store.base import Page, PageRequest
from unit.fuzz import fuzzed

NAMES: Final = tuple(DELIVERIES.parameters)
texts: Final = st.text(max_size=12) | st.sampled_from(
    ["", "1", "100", "101", "0", "-1", "\u0661", "YWV2dF8x", "Yg", "pending"]
)
times: Final = st.sampled_from(
    ["2024-08-02T09:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-08-02"]
)
pairs: Final = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=6), texts | times), max_size=6)


def read(query_string: bytes) -> PageRequest | InvalidInput:
    """Read a query string of the list of deliveries; InvalidInput is the only refusal."""
    try:
        return DELIVERIES.read(QueryParams(query_string))[0]
    except InvalidInput as refused:
        return refused


def judge(answer: PageRequest | InvalidInput) -> None:
    """Assert a page within bounds, or errors that each name a parameter and have a message."""
    if isinstance(answer, InvalidInput):
        assert answer.errors
        assert all(error.code and error.message for error in answer.errors)
    else:
        assert 1 <= answer.limit <= MAX_PER_PAGE
        assert answer.anchor != ""


@fuzzed
@given(st.binary(max_size=60))
def test_any_bytes_are_a_page_or_refused(query_string: bytes) -> None:
    """Also broken escapes, broken UTF-8 and NUL."""
    judge(read(query_string))


@fuzzed
@given(pairs)
def test_any_parameters_are_a_page_or_refused(given_pairs: list[tuple[str, str]]) -> None:
    """Unknown and repeated ones are refused by name."""
    encoded = [(name.encode("utf-8", "replace"), value.encode("utf-8", "replace")) for name, value in given_pairs]
    answer = read(urlencode(encoded).encode())
    judge(answer)
    names = [name.decode() for name, value in encoded]
    if any(name not in NAMES or names.count(name) > 1 for name in names):
        assert isinstance(answer, InvalidInput)


@fuzzed
@given(st.text(max_size=30) | st.binary(max_size=20).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_cursor_is_an_anchor_or_refused(cursor: str) -> None:
    """An anchor is ASCII and never empty."""
    try:
        page = page_request("events", 25, cursor)
    except InvalidInput as refused:
        fields = [error.field for error in refused.errors]
    else:
        fields = ["cursor"] if page.anchor and page.anchor.isascii() else []
    assert fields == ["cursor"]


@fuzzed
@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.booleans())
def test_cursors_round_trip(anchor: str, backwards: bool) -> None:
    """The prev and next of a page are parsed to their anchors, by their own list and by no other."""
    item = Organization(id=anchor, name="", created_at=0)
    made = listing("organizations", Page(items=(item,), has_prev=True, has_next=True))
    cursor = made.prev if backwards else made.next
    assert page_request("organizations", 10, cursor) == PageRequest(limit=10, anchor=anchor, backwards=backwards)
    with pytest.raises(InvalidInput):
        page_request("events", 10, cursor)
