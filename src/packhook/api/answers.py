"""Answers and pages: a view to bytes, a listing to a page with absolute links."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from packhook.service.cursor import Listing
from packhook.store.base import PageRequest

T = TypeVar("T")

encode: Final = msgspec.json.Encoder().encode


def answer(view: Any, status: int = 200) -> Response:  # noqa: ANN401 whatever msgspec encodes
    """A JSON answer."""
    return Response(encode(view), status, media_type="application/json")


def no_content() -> Response:
    """204, empty."""
    return Response(status_code=204)


def page(request: Request, asked: PageRequest, listing: Listing[T], view: Callable[[T], Any]) -> Response:
    """A page of views, with links that keep the filters."""
    return answer(
        {
            "data": [view(item) for item in listing.items],
            "prev": _link(request, listing.prev),
            "next": _link(request, listing.next),
            "per_page": asked.limit,
        }
    )


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    public = request.app.state.settings.public_url.rstrip("/")
    base = f"{public}{request.url.path}" if public else str(request.url.replace(query=None))
    return f"{base}?{urlencode({**request.query_params, 'cursor': cursor})}"
