"""Read a request: checks of its head, its body up to a limit, and its JSON as a model.

Every wrong field is named, and so is every member that stands twice in an object.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Final, TypeVar

import httptools
import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.idempotency import look_up
from packhook.api.schemas.events import CATALOGUE
from packhook.core.errors import (
    BodyTooLarge,
    FieldError,
    InvalidInput,
    MalformedBody,
    Unauthorized,
    UnsupportedMediaType,
)
from packhook.service import rules
from packhook.service.service import Service

S = TypeVar("S", bound=BaseModel)
Rules = Callable[[Any], Iterable[FieldError]]

SINGLE_HEADERS: Final = (b"authorization", b"content-encoding", b"content-type", b"idempotency-key")
NO_ROUTE: Final = "//"
"""Begins a path that no route has."""
_ENCODED_SEPARATOR: Final = re.compile(rb"%(?:2f|5c)|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
SMALL_BODY: Final = 64 * 1024
_SHORTEST: Final = {b'"data"': len('"data":0,'), b'"events"': len('"events":[],')}
_CODES: Final = {"missing": "missing", "extra_forbidden": "unknown_field"}
NO_SUCH_FIELD: Final = "there is no such field"
_MESSAGES: Final = {"missing": "this field is required", "extra_forbidden": NO_SUCH_FIELD}

MAX_HOST_BYTES: Final = 255
INVALID_REQUEST: Final = "Invalid HTTP request received."
OTHER_CODING: Final = "Expected no transfer-encoding other than chunked."
OTHER_EXPECTATION: Final = "Expected no expectation other than 100-continue."

_VERSIONS: Final = ("1.1", "1.0")
_SCHEMES: Final = (None, b"http", b"https")
_LABEL: Final = rb"(?:[A-Za-z0-9_~-]|%[89A-Fa-f][0-9A-Fa-f])+"
_HOST: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|%b(?:\.%b)*\.?)(?::(\d{0,5}))?" % (_LABEL, _LABEL))
"""RFC 3986 allows more in a name, such as commas, with which a proxy joins two headers; no host is named so."""


# --- the head, beyond what the parser checks, before anything is served


class InvalidRequest(httptools.HttpParserError):
    """Refuse a request that the parser accepts, with this status; the message is for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def check_head(headers: Iterable[tuple[bytes, bytes]], version: str) -> None:
    """Raise InvalidRequest unless the request can be served as it was meant.

    It has one valid ``Host`` (RFC 9112, 3.2; HTTP/1.0 may have none), no transfer coding but ``chunked``, none at all
    in HTTP/1.0, whose proxies do not know it (6.1), and no expectation but ``100-continue`` (RFC 9110, 10.1.1).
    """
    if version not in _VERSIONS:
        raise InvalidRequest(INVALID_REQUEST)
    hosts, codings, is_coded = [], [], False
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            is_coded = True
            codings += _tokens(value)
        elif name == b"expect" and value.strip().lower() not in (b"", b"100-continue"):
            raise InvalidRequest(OTHER_EXPECTATION, 417)
    if is_coded:
        _check_codings(codings, version)
    if hosts or version != "1.0":
        _require_host(hosts)


def refusal_of(headers: Iterable[tuple[bytes, bytes]]) -> InvalidRequest:
    """Return why a request is refused that the parser does not accept: it says nothing of a transfer coding."""
    codings = [token for name, value in headers if name == b"transfer-encoding" for token in _tokens(value)]
    return InvalidRequest(OTHER_CODING, 501) if set(codings) - {b"chunked"} else InvalidRequest(INVALID_REQUEST)


def require_path(target: bytes) -> None:
    """Raise InvalidRequest for a request target without a path, with a fragment, of another scheme, or not in ASCII."""
    url = httptools.parse_url(target)
    if not (url.path and target.isascii()) or b"#" in target or (url.schema and url.schema.lower() not in _SCHEMES):
        raise InvalidRequest(INVALID_REQUEST)


def _tokens(value: bytes) -> list[bytes]:
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def _check_codings(codings: list[bytes], version: str) -> None:
    if set(codings) - {b"chunked"}:
        raise InvalidRequest(OTHER_CODING, 501)
    if codings != [b"chunked"] or version == "1.0":
        raise InvalidRequest("Expected transfer-encoding chunked once, and not in HTTP/1.0.")


def _require_host(hosts: list[bytes]) -> None:
    if len(hosts) != 1 or len(hosts[0]) > MAX_HOST_BYTES or not _is_short_host(hosts[0]):
        raise InvalidRequest("Expected one valid Host header.")


@lru_cache(1024)
def _is_short_host(value: bytes) -> bool:
    """Return whether this is ``host [":" port]`` (RFC 9110, 7.2)."""
    match = _HOST.fullmatch(value)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1].decode()))
    except ValueError:
        return False


# --- single headers


def bearer(header: str | None) -> str:
    """Return the key in an ``Authorization`` header (RFC 6750, 2.1); raise Unauthorized if there is none."""
    scheme, _, key = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("expected the header Authorization: Bearer KEY")
    return key.strip()


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]], single: Iterable[bytes] = SINGLE_HEADERS) -> None:
    """Raise InvalidInput if one of ``single`` is repeated: a proxy and packhook might read different ones."""
    names = [name for name, _ in headers]
    repeated = [name for name in single if names.count(name) > 1]
    if repeated:
        raise InvalidInput(
            [FieldError(name.decode(), "repeated_header", "expected this header once") for name in repeated]
        )


def has_encoded_separator(raw_path: bytes) -> bool:
    """Return whether a path, still percent-encoded, has a separator or a dot segment encoded: no route has.

    Separators are ``/`` and ``\\``, which some proxies take for one.
    """
    return b"%" in raw_path and _ENCODED_SEPARATOR.search(raw_path) is not None


def idempotency_key(header: str | None) -> str | None:
    """Return the key in an ``Idempotency-Key`` header without the white space around it (RFC 9110, 5.5).

    Raises InvalidInput.
    """
    if header is None:
        return None
    try:
        return rules.idempotency_key(header.strip(" \t"))
    except ValueError as error:
        raise InvalidInput([FieldError("Idempotency-Key", "invalid", str(error))]) from None


class RejectEncodedSeparators:
    """Give a path with an encoded separator, which Starlette would decode, to no route: it is a 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        raw_path: bytes = scope.get("raw_path") or b""
        if has_encoded_separator(raw_path):
            scope["path"] = NO_ROUTE + raw_path.decode("latin-1")
        await self._app(scope, receive, send)


# --- the body


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, reserve: Callable[[int], None] = lambda _: None
) -> bytes:
    """Return the body, at most ``limit`` bytes. The headers (names in lower case) are checked before it is read.

    A byte order mark in front of the JSON is left out. ``reserve`` is called with the size of each part, and may raise.
    Raises UnsupportedMediaType, BodyTooLarge, and MalformedBody if the client disconnects.
    """
    _check_headers(headers, limit)
    return (await _read(receive, limit, reserve)).removeprefix(codecs.BOM_UTF8)


async def _read(receive: Receive, limit: int, reserve: Callable[[int], None]) -> bytes:
    chunks: list[bytes] = []
    more, size = True, 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client disconnected before the whole body arrived")
        chunk = message.get("body", b"")
        chunks.append(chunk)
        more, size = message.get("more_body", False), size + len(chunk)
        if size > limit:
            raise BodyTooLarge(f"the body may have {limit} bytes, this has more")
        reserve(len(chunk))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_headers(headers: Mapping[bytes, bytes], limit: int) -> None:
    content_type = headers.get(b"content-type")
    if content_type != b"application/json":
        _require_json(None if content_type is None else content_type.decode("latin-1"))
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.strip().lower() != b"identity":
        raise UnsupportedMediaType(f"expected no content-encoding, got {encoding.decode('latin-1')}")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise BodyTooLarge(f"the body may have {limit} bytes, this has {length.decode()}")


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


async def read_optional_shape(request: Request, shape: type[S]) -> S:
    """Return the body as a model, or the model's defaults where there is no body; see :func:`read_shape`."""
    return await read_shape(request, shape) if _has_body(request) else shape()


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("transfer-encoding") is not None or headers.get("content-length", "0") != "0"


async def refuse_body(request: Request) -> None:
    """Raise InvalidInput for a body other than ``{}`` on a route that takes none: it was meant to do something."""
    if not _has_body(request):
        return
    service: Service = request.app.state.service
    with service.bodies.reserve(request.path_params.get("organizationId", "")) as reservation:
        try:
            body = await _read(request.receive, SMALL_BODY, reservation.grow)
            members = json.loads(body) if body.strip() else {}
        except (BodyTooLarge, ValueError, RecursionError):
            members = None
    if not isinstance(members, dict):
        raise InvalidInput([FieldError("", "unexpected_body", "this request takes no body")])
    if members:
        raise InvalidInput([FieldError(pointer((name,)), "unknown_field", NO_SUCH_FIELD) for name in members])


async def read_shape(request: Request, shape: type[S], limit: int = SMALL_BODY, rules: Rules | None = None) -> S:
    """Return the body as a model. Raises what ``read_body``, ``look_up`` and ``parse_shape`` raise, and Overloaded.

    ``rules`` returns what else is wrong with a body whose shape is: so all errors are named at once.
    """
    state = request.app.state
    service: Service = state.service
    with service.bodies.reserve(request.path_params.get("organizationId", "")) as reservation:
        reservation.grow(state.settings.max_buffered_body_bytes // state.settings.max_connections)
        body = await read_body(dict(request.scope["headers"]), request.receive, limit, reservation.grow)
        await look_up(request, body)
        context = {"settings": state.settings, "now": service.clock.now(), CATALOGUE: service.event_types.catalogue}
        return _read_once(body, shape, context, rules)


def _read_once(body: bytes, shape: type[S], context: dict[str, Any], rules: Rules | None) -> S:
    """Return JSON as a model, as ``parse_shape`` does; a member that stands twice is an error, too."""
    repeated = repeated_members(body)
    try:
        value = parse_shape(body, shape, context)
    except InvalidInput as error:
        raise InvalidInput([*error.errors, *repeated, *_broken(body, rules, error.errors)]) from None
    if repeated:
        raise InvalidInput(repeated)
    return value


def _broken(body: bytes, rules: Rules | None, known: Iterable[FieldError]) -> list[FieldError]:
    """Return what ``rules`` say of fields in whose shape nothing is wrong."""
    try:
        found = [] if rules is None else rules(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    fields = {wrong.field for wrong in known}
    return [wrong for wrong in found if wrong.field not in fields]


def parse_shape(body: bytes, shape: type[S], context: dict[str, Any]) -> S:
    """Return JSON as a model. Raises MalformedBody, or InvalidInput with every wrong field."""
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
    """Return a location in pydantic's form as a JSON Pointer (RFC 6901), without pydantic's own marks."""
    parts = [str(part) for part in path if part != "[key]"]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


# --- members that an object has twice, of which each parser takes another (RFC 8259, 4)


class _Object(list[tuple[str, Any]]):
    """Hold the members of an object in their order."""


def repeated_members(body: bytes) -> list[FieldError]:
    """Return an error for each member that stands twice in its object, anywhere in ``body``; none if it is no JSON."""
    try:
        value = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
        return list(_repeated(value, ""))
    except (ValueError, RecursionError):
        return []


def _repeated(value: object, place: str) -> Iterator[FieldError]:
    if isinstance(value, _Object):
        names = Counter(name for name, _ in value)
        for name, below in value:
            at = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
            if names.pop(name, 0) > 1:
                yield FieldError(at, "repeated_member", "expected this member once")
            yield from _repeated(below, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated(item, f"{place}/{index}")


def repeated_beside(values: Sequence[bytes], body: bytes, least: int, name: bytes) -> list[FieldError]:
    """Return the same for what stands around some values of ``body``, which are not looked into.

    ``least``: the bytes around them without a repeated member and white space. ``name`` is that of the shortest member
    that could be repeated. Costs an addition for a body without white space, and a search for another.
    """
    if len(body) - sum(map(len, values)) < least + _SHORTEST[name]:
        return []
    around = _around(values, body)
    if around.count(name) < 2 and around.count(b'"event_code"') < 2 and b"\\" not in around:
        return []
    return repeated_members(around)


def _around(values: Sequence[bytes], body: bytes) -> bytes:
    """Return ``body`` with null in the place of each value."""
    pieces: list[bytes] = []
    end = 0
    for value in values:
        begin = body.index(value, end)
        pieces += body[end:begin], b"null"
        end = begin + len(value)
    return b"".join((*pieces, body[end:]))
