"""Answers and pages: a view to bytes, a listing to a page with absolute links."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from packhook.core.errors import FieldError, InvalidInput
from packhook.service.cursor import DEFAULT_PER_PAGE, MOST_PER_PAGE, Listing, page_request
from packhook.store.base import PageRequest

T = TypeVar("T")

encode: Final = msgspec.json.Encoder().encode


def answer(view: Any, status: int = 200) -> Response:  # noqa: ANN401 whatever msgspec encodes
    """A JSON answer."""
    return Response(encode(view), status, media_type="application/json")


def no_content() -> Response:
    """204, empty."""
    return Response(status_code=204)


def asked_page(request: Request) -> PageRequest:
    """Which page was asked for by ``per_page`` and ``cursor``; InvalidInput where they make no sense."""
    return page_request(per_page(request), request.query_params.get("cursor"))


def per_page(request: Request) -> int:
    """How many items a page has, 1 to 100."""
    text = request.query_params.get("per_page", str(DEFAULT_PER_PAGE))
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= MOST_PER_PAGE:
        raise InvalidInput([FieldError("per_page", "invalid", f"expected a number from 1 to {MOST_PER_PAGE}")])
    return int(text)


def page(request: Request, listing: Listing[T], view: Callable[[T], Any]) -> Response:
    """A page of views, with links that keep the filters."""
    return answer(
        {
            "data": [view(item) for item in listing.items],
            "prev": _link(request, listing.prev),
            "next": _link(request, listing.next),
            "per_page": per_page(request),
        }
    )


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    public = request.app.state.settings.public_url.rstrip("/")
    base = f"{public}{request.url.path}" if public else str(request.url.replace(query=None))
    return f"{base}?{urlencode({**request.query_params, 'cursor': cursor})}"
