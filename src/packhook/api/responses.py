"""Responses: JSON bodies, pages with absolute links, the location of what was created."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from packhook.service.pagination import Listing, with_checksum
from packhook.store.base import PageRequest

T = TypeVar("T")

SLICE: Final = 64 * 1024

encode: Final = msgspec.json.Encoder().encode


class SlicedResponse(Response):
    """Send the body in slices, each when the client has taken the one before: the end is known when it was taken."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 ASGI
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), SLICE):
            part = self.body[start : start + SLICE]
            await send({"type": "http.response.body", "body": bytes(part), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def respond(body: Any, status: int = 200) -> Response:  # noqa: ANN401 whatever msgspec encodes
    """Return a JSON response."""
    return response_of(encode(body), status)


def response_of(content: bytes, status: int = 200) -> Response:
    """Return a response with this JSON."""
    kind = Response if len(content) <= SLICE else SlicedResponse
    return kind(content, status, media_type="application/json")


def created(request: Request, body: dict[str, Any], name: str = "") -> Response:
    """Return 201 with the new object and its URL in ``Location``: the list's URL and the object's id or ``name``."""
    return located(respond(body, 201), f"{_url(request)}/{name or body['id']}")


def located(response: Response, url: str) -> Response:
    """Give a response the URL of what was created."""
    response.headers["location"] = url
    return response


def no_content() -> Response:
    """Return 204, empty."""
    return Response(status_code=204)


def respond_page(request: Request, page: PageRequest, listing: Listing[T], serialize: Callable[[T], Any]) -> Response:
    """Return a page. Its links keep the filters."""
    return respond(
        {
            "data": [serialize(item) for item in listing.items],
            "prev": _link(request, listing.prev),
            "next": _link(request, listing.next),
            "per_page": page.limit,
        }
    )


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = {**request.query_params, "cursor": with_checksum(cursor, request.url.path)}
    return f"{_url(request)}?{urlencode(query)}"


def _url(request: Request) -> str:
    """Return the absolute URL of this request without its query."""
    return f"{base_url(request)}{request.url.path}"


def base_url(request: Request) -> str:
    """Return the URL that paths of this server are appended to: ``public_url`` where that is set."""
    public: str = request.app.state.settings.public_url.rstrip("/")
    return public or f"{request.url.scheme}://{request.url.netloc}"
