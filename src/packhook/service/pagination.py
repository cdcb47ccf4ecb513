"""Keyset pagination: opaque cursors that name a list, an item of it and a direction.

A cursor is ``a`` or ``b`` (after, before), the list's name, ``:`` and the item's id, as URL-safe base64; then ``.`` and
a checksum of it and the list's path. So a cursor of another list or organization, or one that was changed, is an error.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from packhook.core.errors import FieldError, InvalidInput
from packhook.store.base import Page, PageRequest

T = TypeVar("T")

DEFAULT_PER_PAGE: Final = 25
MAX_PER_PAGE: Final = 100
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of event data on a page. It has one event at least, which has 256 KiB at most."""
CHECKSUM_BYTES: Final = 6


class HasId(Protocol):
    """Require an id."""

    @property
    def id(self) -> str:
        """Return the id, by which its list is ordered."""
        ...


Item = TypeVar("Item", bound=HasId)


class Listing(Struct, Generic[T], frozen=True, kw_only=True):
    """Hold one page of a list, with the cursors of the previous and the next page (None: there is none)."""

    items: tuple[T, ...]
    prev: str | None
    next: str | None


def page_request(
    list_name: str, per_page: int = DEFAULT_PER_PAGE, cursor: str | None = None, path: str | None = None
) -> PageRequest:
    """Decode a cursor. Raise InvalidInput unless it came from a page of this list, at this path (None: at any)."""
    if cursor is None:
        return PageRequest(limit=per_page)
    encoded, _, checksum = cursor.partition(".")
    try:
        text = base64.urlsafe_b64decode(encoded.encode("ascii") + b"==").decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if path is not None and not hmac.compare_digest(checksum.encode(), _checksum(encoded, path).encode()):
        text = ""
    name, _, anchor = text[1:].partition(":")
    if text[:1] not in ("a", "b") or name != list_name or not anchor:
        raise InvalidInput(
            [FieldError("cursor", "invalid_cursor", "expected a cursor from the prev or next link of this list")]
        )
    return PageRequest(limit=per_page, anchor=anchor, backwards=text[0] == "b")


def listing(list_name: str, page: Page[Item]) -> Listing[Item]:
    """Add the cursors to a page of this list."""
    return listing_by(list_name, page, lambda item: item.id)


def listing_by(list_name: str, page: Page[T], key: Callable[[T], str]) -> Listing[T]:
    """Add the cursors to a page of a list that is ordered by this key."""
    items = page.items
    return Listing(
        items=items,
        prev=cursor_of("b", list_name, key(items[0])) if page.has_prev and items else None,
        next=cursor_of("a", list_name, key(items[-1])) if page.has_next and items else None,
    )


def with_checksum(cursor: str, path: str) -> str:
    """Return a cursor of the list at this path as clients get it."""
    return f"{cursor}.{_checksum(cursor, path)}"


def _checksum(cursor: str, path: str) -> str:
    digest = hashlib.blake2b(f"{path}\n{cursor}".encode("utf-8", "surrogatepass"), digest_size=CHECKSUM_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def cursor_of(direction: str, list_name: str, anchor: str) -> str:
    """Return the cursor of what comes after (``a``) or before (``b``) an item of a list."""
    return base64.urlsafe_b64encode(f"{direction}{list_name}:{anchor}".encode()).decode().rstrip("=")
