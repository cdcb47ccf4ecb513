"""Opaque cursors: where a page begins, and in which direction it is read."""

import base64
import binascii
from typing import Final, Generic, TypeVar

from msgspec import Struct

from packhook.core.errors import FieldError, InvalidInput
from packhook.store.base import Page, PageRequest

T = TypeVar("T")

DEFAULT_PER_PAGE: Final = 25
MOST_PER_PAGE: Final = 100


class Listing(Struct, Generic[T], frozen=True, kw_only=True):
    """A page as it is shown: its items, and the cursors of the pages beside it."""

    items: tuple[T, ...]
    prev: str | None
    next: str | None


def page_request(per_page: int = DEFAULT_PER_PAGE, cursor: str | None = None) -> PageRequest:
    """From what was asked; InvalidInput where the cursor is none of ours."""
    if cursor is None:
        return PageRequest(limit=per_page)
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if text[:1] not in ("a", "b") or len(text) < 2:
        raise InvalidInput([FieldError("cursor", "invalid_cursor", "expected a cursor from the prev or next link")])
    return PageRequest(limit=per_page, anchor=text[1:], backwards=text[0] == "b")


def listing(page: Page[T], anchors: tuple[str, ...]) -> Listing[T]:
    """The page with its cursors; ``anchors`` are the ids of its items, in order."""
    return Listing(
        items=page.items,
        prev=_cursor("b", anchors[0]) if page.has_prev and anchors else None,
        next=_cursor("a", anchors[-1]) if page.has_next and anchors else None,
    )


def _cursor(direction: str, anchor: str) -> str:
    return base64.urlsafe_b64encode(f"{direction}{anchor}".encode()).decode().rstrip("=")
