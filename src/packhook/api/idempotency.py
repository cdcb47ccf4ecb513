"""Requests with an ``Idempotency-Key`` that change something: the first response again, whatever has changed since.

::

    authenticated ─▶ begin ─▶ read_shape: look_up ─┬─ known ─▶ Repeated ─▶ its response, marked
                                                   └─ new ─▶ respond_once: the change and its response, or neither

A route takes the header by its line in the route table. Without the header nothing of this is done.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from packhook.api.responses import response_of
from packhook.core.errors import RequestError, Unavailable
from packhook.core.idempotency import AlreadyAnswered, Remember, StoredResponse, canonical
from packhook.service.idempotency import RepeatableRequest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

REPLAYED: Final = "idempotent-replayed"
"""The header that marks a response that was given before."""

_SCOPE: Final = "packhook.repeatable"


class Repeated(Exception):
    """Signal that a request was answered before, and how."""

    def __init__(self, stored: bytes) -> None:
        super().__init__()
        self._stored = stored

    def response(self) -> Response:
        """Return the first response, marked."""
        status, headers, body = _decode(self._stored)
        response = response_of(body, status)
        response.headers.update({**headers, REPLAYED: "true"})
        return response


_Stored = tuple[int, dict[str, str], bytes]
_decode: Final = msgspec.msgpack.Decoder(_Stored).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def begin(request: Request, repeatable: RepeatableRequest) -> None:
    """Note that this request has an ``Idempotency-Key``."""
    request.scope[_SCOPE] = repeatable


async def look_up(request: Request, body: bytes) -> None:
    """Raise Repeated if this request was answered before, and Conflict if another one with its key was."""
    repeatable: RepeatableRequest | None = request.scope.get(_SCOPE)
    if repeatable is None:
        return
    try:
        meaning = canonical(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # it will be refused
    found = await repeatable.find(f"{request.method} {request.url.path}".encode(), meaning)
    if found is not None:
        raise Repeated(found)


class Creation(Protocol[T_co]):
    """Create or change something, and store the response to that in the same transaction."""

    def __call__(self, *, remember: Remember[Any] | None) -> Awaitable[T_co]:
        """Return what was made. Raises AlreadyAnswered where another request with the same key was first."""
        ...


async def respond_once(request: Request, create: Creation[T], render: Callable[[T], Response]) -> Response:
    """Return the response to what is made; of requests with one key, one makes it.

    Raises Repeated where another request made it at the same time.
    """
    repeatable: RepeatableRequest | None = request.scope.get(_SCOPE)
    if repeatable is None:
        return render(await create(remember=None))
    responses: list[Response] = []

    def remember(made: T) -> StoredResponse:
        responses.append(render(made))
        return repeatable.stored(_stored(responses[-1]))

    try:
        made = await create(remember=remember)
    except (AlreadyAnswered, RequestError) as error:
        found = await repeatable.find_again()
        if found is not None:
            raise Repeated(found) from None
        if isinstance(error, RequestError):
            raise
        raise Unavailable("an Idempotency-Key expired while it was used again") from None
    return responses[-1] if responses else render(made)  # nothing was to be changed, so nothing was stored


def _stored(response: Response) -> bytes:
    headers: dict[str, Any] = {name: value for name, value in response.headers.items() if name in ("location", "etag")}
    return _encode((response.status_code, headers, bytes(response.body)))
