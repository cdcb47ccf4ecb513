"""Filters of a list, from the address of its page: judged by the API's declarations, so that both take the same."""

from typing import Any, Final, Generic, TypeVar

from msgspec import Struct
from starlette.datastructures import QueryParams

from packhook.api.parameters import ListQuery
from packhook.core.errors import FieldError, InvalidInput
from packhook.web.visit import Visit

F = TypeVar("F", bound=Struct)

TIMES: Final = ("since", "until")
_INPUT_LENGTH: Final = len("2026-11-30T10:00")


class Filters(Struct, Generic[F], frozen=True, kw_only=True):
    """Hold what a list shows: a page of what ``where`` selects. ``problem`` says that some of it is not valid."""

    page: Any
    where: F
    problem: str = ""
    is_set: bool = False

    @property
    def status(self) -> int:
        """Return the status of the page's response."""
        return 422 if self.problem else 200


def read_filters(visit: Visit, listing: ListQuery[F], **fixed: str) -> Filters[F]:
    """Return what the address asks for; ``fixed`` filters are the page's own.

    With a filter that is not valid, the page's fields say so, and nothing is selected: ``problem`` is set.
    """
    names = [name for name in listing.filters if name not in fixed]
    given = {name: instant_of(visit.query(name)) if name in TIMES else visit.query(name) for name in names}
    given = {name: text for name, text in given.items() if text}
    is_set = bool(given)
    if visit.query("cursor"):
        given["cursor"] = visit.query("cursor")
    catalogue = visit.service.event_types.catalogue
    try:
        page, where = listing.read(QueryParams({**given, **fixed}), visit.request.url.path, catalogue)
    except InvalidInput as error:
        visit.form.errors = tuple(FieldError(f"/{wrong.field}", wrong.code, wrong.message) for wrong in error.errors)
        page, where = listing.read(QueryParams(fixed))
        return Filters(page=page, where=where, problem="Nothing is listed: a filter is not valid.", is_set=is_set)
    return Filters(page=page, where=where, is_set=is_set)


def instant_of(text: str) -> str:
    """Return what a browser's field for a time has, which is UTC here, as RFC 3339."""
    return f"{text}:00Z" if len(text) == _INPUT_LENGTH else text


def event_codes(visit: Visit) -> list[str]:
    """Return the codes that a filter of a list may have."""
    return sorted(visit.service.event_types.catalogue.types)
