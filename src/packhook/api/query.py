"""Query parameters: each read by its rule, everything that is wrong told at once."""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from packhook.core.errors import FieldError, InvalidInput
from packhook.service.cursor import DEFAULT_PER_PAGE, MOST_PER_PAGE, page_request
from packhook.store.base import PageRequest

T = TypeVar("T")


class Query:
    """The parameters of one request. Reading never fails; :meth:`page` does, with all that was wrong."""

    def __init__(self, request: Request, *known: str) -> None:
        names = [name for name, _ in request.query_params.multi_items()]
        self._values = request.query_params
        self._wrong = [
            FieldError(name, "unknown_parameter", "there is no such parameter")
            for name in dict.fromkeys(names)
            if name not in known
        ]
        self._wrong += [
            FieldError(name, "repeated_parameter", "expected this parameter once")
            for name in known
            if names.count(name) > 1
        ]

    def read(self, name: str, rule: Callable[[str], T]) -> T | None:
        """The value by its rule, which raises ValueError; None where it is absent or wrong."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return rule(text)
        except ValueError as error:
            self._wrong.append(FieldError(name, "invalid", str(error)))
            return None

    def page(self) -> PageRequest:
        """Which page is asked for, once everything else was read: InvalidInput with all that was wrong."""
        limit = self.read("per_page", per_page) or DEFAULT_PER_PAGE
        page = None
        try:
            page = page_request(limit, self._values.get("cursor"))
        except InvalidInput as error:
            self._wrong += error.errors
        if page is None or self._wrong:
            raise InvalidInput(self._wrong)
        return page


def per_page(text: str) -> int:
    """How many items a page has, 1 to 100."""
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= MOST_PER_PAGE:
        raise ValueError(f"expected a number from 1 to {MOST_PER_PAGE}")
    return int(text)
