"""Fuzz query parameters and cursors: each is read by its rule, or refused with every error."""

import base64
from typing import Final
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from fuzz import fuzzed
from packhook.api.query import Query
from packhook.core.clock import from_rfc3339
from packhook.core.errors import InvalidInput
from packhook.core.model import DeliveryStatus
from packhook.service.cursor import MOST_PER_PAGE, listing, page_request
from packhook.store.base import Page, PageRequest

NAMES: Final = ("per_page", "cursor", "since", "status")
texts: Final = st.text(max_size=12) | st.sampled_from(
    ["", "1", "100", "101", "0", "-1", "\u0661", "YWV2dF8x", "Yg", "pending"]
)
times: Final = st.sampled_from(
    ["2024-08-02T09:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-08-02"]
)
pairs: Final = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=6), texts | times), max_size=6)


def read(query_string: bytes) -> PageRequest | InvalidInput:
    """Read a query as the API does; it raises nothing but InvalidInput."""
    request = Request({"type": "http", "query_string": query_string, "headers": [], "method": "GET", "path": "/"})
    try:
        query = Query(request, *NAMES)
        query.read("since", from_rfc3339)
        query.read("status", DeliveryStatus)
        return query.page()
    except InvalidInput as refused:
        return refused


def judge(answer: PageRequest | InvalidInput) -> None:
    """Assert a page within bounds, or errors that each name a parameter and have a message."""
    if isinstance(answer, InvalidInput):
        assert answer.errors
        assert all(error.code and error.message for error in answer.errors)
    else:
        assert 1 <= answer.limit <= MOST_PER_PAGE
        assert answer.anchor != ""


@fuzzed
@given(st.binary(max_size=60))
def test_any_bytes_are_a_page_or_refused(query_string: bytes) -> None:
    """Broken escapes, broken UTF-8, NUL."""
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
        page = page_request(25, cursor)
    except InvalidInput as refused:
        fields = [error.field for error in refused.errors]
    else:
        fields = ["cursor"] if page.anchor and page.anchor.isascii() else []
    assert fields == ["cursor"]


@fuzzed
@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.booleans())
def test_own_cursors_come_back(anchor: str, backwards: bool) -> None:
    """The prev and next of a page are read as what they were made of."""
    made = listing(Page(items=("x",), has_prev=True, has_next=True), (anchor,))
    cursor = made.prev if backwards else made.next
    assert page_request(10, cursor) == PageRequest(limit=10, anchor=anchor, backwards=backwards)
