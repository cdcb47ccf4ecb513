"""Reading a request: its body up to a limit, its JSON into a shape, every wrong field named at once."""

import codecs
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import Receive

from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput, MalformedBody, UnsupportedMediaType

S = TypeVar("S", bound=BaseModel)

SMALL_BODY: Final = 64 * 1024
_CODES: Final = {"missing": "missing", "extra_forbidden": "unknown_field"}
_MESSAGES: Final = {"missing": "this field is required", "extra_forbidden": "there is no such field"}


async def read_body(
    content_type: str | None,
    declared: str | None,
    receive: Receive,
    limit: int,
    grow: Callable[[int], None] = lambda _: None,
) -> bytes:
    """The body, at most ``limit`` bytes of it; refuses by its head before reading, and while reading.

    ``grow`` hears of each part's bytes, and may refuse too.
    """
    check_head(content_type, declared, limit)
    chunks: list[bytes] = []
    more, size = True, 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client left before the whole body had come")
        chunks.append(message.get("body", b""))
        more, size = message.get("more_body", False), size + len(chunks[-1])
        check_size(size, limit)
        grow(len(chunks[-1]))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_head(content_type: str | None, declared: str | None, limit: int) -> None:
    """What the head says of the body: UnsupportedMediaType, or BodyTooLarge by its ``Content-Length``."""
    if content_type != "application/json":
        _require_json(content_type)
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(f"the body may have {limit} bytes, this has {declared}")


def check_size(size: int, limit: int) -> None:
    """BodyTooLarge as soon as more has come than may."""
    if size > limit:
        raise BodyTooLarge(f"the body may have {limit} bytes, this has more")


def _require_json(content_type: str | None) -> None:
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(f"expected content-type application/json, got {content_type or 'none'}")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and not _is_utf8(value.strip('"')):
            raise UnsupportedMediaType("JSON is UTF-8 (RFC 8259, 8.1)")


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in ("utf-8", "ascii")
    except (LookupError, ValueError):
        return False


async def read_shape(request: Request, shape: type[S]) -> S:
    """The body as a shape. MalformedBody, or InvalidInput with every wrong field."""
    headers = request.headers
    body = await read_body(headers.get("content-type"), headers.get("content-length"), request.receive, SMALL_BODY)
    state = request.app.state
    return parse_shape(body, shape, context={"settings": state.settings, "now": state.service.clock.now()})


def parse_shape(body: bytes, shape: type[S], context: dict[str, Any]) -> S:
    """JSON bytes as a shape. MalformedBody, or InvalidInput with every wrong field."""
    try:
        return shape.model_validate_json(body, context=context)
    except ValidationError as error:
        raise _explain(error) from None


def _explain(error: ValidationError) -> MalformedBody | InvalidInput:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found and found[0]["type"] == "json_invalid":
        return MalformedBody(found[0]["msg"])
    return InvalidInput(
        [
            FieldError(
                pointer(item["loc"]),
                _CODES.get(item["type"], "invalid"),
                _MESSAGES.get(item["type"], item["msg"].removeprefix("Value error, ")),
            )
            for item in found
        ]
    )


def pointer(path: tuple[int | str, ...]) -> str:
    """A JSON Pointer (RFC 6901); pydantic's own marks are left out."""
    parts = [str(part) for part in path if part != "[key]"]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
