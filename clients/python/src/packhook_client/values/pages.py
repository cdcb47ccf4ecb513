"""Pages of lists."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Hold one page of a list. ``next`` and ``prev`` are links; None: there is no such page."""

    data: tuple[T, ...]
    prev: str | None
    next: str | None
    per_page: int

    @property
    def next_cursor(self) -> str | None:
        """Return the ``cursor`` of the next page; None: this is the last one."""
        return _cursor(self.next)

    @property
    def prev_cursor(self) -> str | None:
        """Return the ``cursor`` of the page before; None: this is the first one."""
        return _cursor(self.prev)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def _cursor(link: str | None) -> str | None:
    return None if link is None else next(iter(parse_qs(urlsplit(link).query).get("cursor", ())), None)
