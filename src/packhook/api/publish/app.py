"""Respond to the publish routes: authenticate, read and decode the body, publish its events, encode the receipts.

::

    target ─▶ match ─▶ authenticate, authorize ─▶ read the body ─▶ decode ─▶ service/publish.py: durable ─▶ 202
                                                                     └─ invalid ─▶ invalid_body.py says what is wrong

They are outside FastAPI. Authentication, errors, limits and headers are those of every other route. The ``data`` of
each event stays the bytes that were sent: the reader of its event type only decides whether they are valid, and reads
what they are about on the way. Members that no type names are skipped, so those may be nested deeper, or have more
digits, than others; that does no harm.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httptools
import msgspec
from msgspec import Raw
from starlette.types import Receive, Scope

from packhook.api.forwarded import peer_network, source_in
from packhook.api.headers import ALLOWANCE, AccessLog, note_allowance, rate_limit_lines
from packhook.api.idempotency import REPLAYED
from packhook.api.parameters import refuse_query
from packhook.api.problems import fault_response, problem_response
from packhook.api.publish.invalid_body import MAX_ERRORS, explain_batch, explain_event, split_batch
from packhook.api.requests import bearer, has_encoded_separator, read_body, refuse_repeated, repeated_beside
from packhook.api.requests import idempotency_key as parse_key
from packhook.api.responses import SLICE, encode
from packhook.api.route import BASE, ORGANIZATION, Route
from packhook.api.schemas.events import EventBatch, EventPublish
from packhook.api.schemas.model import struct_of
from packhook.api.turns import UNIT_BYTES
from packhook.core.clock import to_rfc3339
from packhook.core.errors import FieldError, InvalidInput, MalformedBody, PackhookError
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.fairness import FairShare
from packhook.core.idempotency import meaning_of
from packhook.core.model import MAX_DATA_BYTES, Receipt
from packhook.core.subject import INVALID
from packhook.core.trace_context import read_headers
from packhook.delivery.fair_queue import Turns
from packhook.service.publish import Published, PublishKey, RawEvent
from packhook.service.service import Service
from packhook.settings import Settings

MAX_CACHED_TARGETS: Final = 4_096
MAX_CACHED_TARGET_BYTES: Final = 256
MAX_ENVELOPE_BYTES: Final = 4096

_REPLAYED: Final = (REPLAYED.encode(), b"true")

_PREFIX: Final = BASE + ORGANIZATION.partition("{")[0]

Receipts = tuple[Receipt, ...]

_Decode = Callable[[bytes | Raw], Any]


# --- a request


class Response(NamedTuple):
    """Hold a whole response: its status, headers (names in lower case), and body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Respond = Callable[[Scope, Receive], Awaitable[Response]]
"""Respond to one request. Unlike an ASGI application it returns the response, in one piece."""


class PublishApp:
    """Respond to the publish routes."""

    def __init__(self, routes: Iterable["PublishRoute"], service: Service, settings: Settings, turns: Turns) -> None:
        self._routes = {route.path.removeprefix(ORGANIZATION + "/"): route for route in routes}
        self._service = service
        self._turns = turns
        self._settings = settings
        self._public_url = settings.public_url.rstrip("/").encode()
        self._access_log = AccessLog(settings)
        self.max_connections: Final = settings.max_connections
        self.connections: Final = FairShare(settings.max_connections, "")
        self._max_body_bytes = settings.max_buffered_body_bytes
        self._bytes_per_request = settings.max_buffered_body_bytes // settings.max_connections
        self._match_cached = lru_cache(MAX_CACHED_TARGETS)(self._match)

    @property
    def is_draining(self) -> bool:
        """Return whether each response should end its connection."""
        return self._service.is_draining

    def peer_of(self, address: str) -> str | None:
        """Return what an address shares its connections with: itself, or its /64 of IPv6. None for a trusted proxy."""
        return peer_network(address, self._settings.trusted_proxies)

    def match(self, target: bytes) -> Respond | None:
        """Return what responds to a POST of this request target; None if it is not a publish route.

        Raises HttpParserInvalidURLError for a target that is not valid.
        """
        return self._match_cached(target) if len(target) <= MAX_CACHED_TARGET_BYTES else self._match(target)

    def _match(self, target: bytes) -> Respond | None:
        url = httptools.parse_url(target)
        raw_path: bytes | None = url.path
        if raw_path is None or has_encoded_separator(raw_path) or b"#" in target:
            return None
        path = unquote(raw_path.decode("latin-1"))
        organization_id, _, rest = path.removeprefix(_PREFIX).partition("/")
        route = self._routes.get(rest)
        if not path.startswith(_PREFIX) or not organization_id or route is None:
            return None
        return partial(self._respond, route, organization_id, url.query or b"")

    async def _respond(
        self, route: "PublishRoute", organization_id: str, query: bytes, scope: Scope, receive: Receive
    ) -> Response:
        scope["query_string"] = query
        response = await self._answer(route, organization_id, scope, receive)
        if ALLOWANCE in scope:
            response.headers.extend(rate_limit_lines(scope[ALLOWANCE]))
        self._access_log.write(scope, response.status)
        return response

    async def _answer(self, route: "PublishRoute", organization_id: str, scope: Scope, receive: Receive) -> Response:
        try:
            return await self._publish(route, organization_id, scope, receive)
        except PackhookError as error:
            problem = problem_response(error)
        except Exception as error:  # noqa: BLE001 a bug: the client gets a response, the log the traceback
            problem = fault_response(scope, error)
        return Response(problem.status_code, problem.raw_headers, bytes(problem.body))

    async def _publish(self, route: "PublishRoute", organization_id: str, scope: Scope, receive: Receive) -> Response:
        """Authenticate and authorize before the body is read; then read, decode and publish it."""
        raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(raw_headers)
        has_repeated = len(headers) < len(raw_headers)
        if has_repeated:
            refuse_repeated(raw_headers, (b"authorization",))
        _, allowance = await self._service.access.authenticate_and_authorize(
            bearer(_text(headers, b"authorization")),
            route.scope,
            organization_id,
            partial(source_in, scope, self._settings.trusted_proxies),
        )
        note_allowance(scope, allowance)
        if has_repeated:
            refuse_repeated(raw_headers)
        if scope["query_string"]:
            refuse_query(scope["query_string"])
        handler = route.handler
        limit = min(handler.max_body_bytes(self._settings), self._max_body_bytes)
        with self._service.bodies.reserve(organization_id) as reservation:
            reservation.grow(self._bytes_per_request)
            body = await read_body(headers, receive, limit, reservation.grow)
            await self._turns.take(organization_id, 1 + len(body) // UNIT_BYTES)
            self._service.publisher.require_room(organization_id)
            key = _text(headers, b"idempotency-key")
            trace_context = read_headers(raw_headers) if b"traceparent" in headers else ""
            receipts, is_repeated = await handler.publish(self._service, organization_id, key, body, trace_context)
        content = encode(handler.view(receipts))
        lines = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        if route.has_location:
            lines.append((b"location", self._event_url(scope, headers, organization_id, receipts[0].id)))
        if is_repeated:
            lines.append(_REPLAYED)
        return Response(route.status, lines, content)

    def _event_url(self, scope: Scope, headers: dict[bytes, bytes], organization_id: str, event_id: str) -> bytes:
        """Return the URL of an event. The id of an organization that is there needs no escapes."""
        base = self._public_url or b"%b://%b" % (scope["scheme"].encode(), headers.get(b"host", b""))
        return b"%b%b%b/events/%b" % (base, _PREFIX.encode(), organization_id.encode(), event_id.encode())


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


# --- its events


@dataclass(frozen=True, slots=True)
class PublishHandler:
    """Handle one publish route. ``name`` and ``summary`` describe it in the OpenAPI document."""

    name: str
    summary: str
    max_body_bytes: Callable[[Settings], int]
    decode: Callable[[bytes, Catalogue], Awaitable[list[RawEvent]]]
    view: Callable[[Receipts], object]

    async def publish(
        self, service: Service, organization_id: str, idempotency_key: str | None, body: bytes, trace_context: str
    ) -> Published:
        """Publish the events of ``body``, all or none, and return once they are durable.

        ``trace_context`` is the publisher's. Raises what the decoder and ``Publisher.publish_once`` raise, and
        InvalidInput for a bad idempotency key.
        """
        values = service, organization_id, idempotency_key, body
        if service.tracing is None:
            return await self._publish(*values, trace_context)
        with service.tracing.publish(organization_id, self.name, trace_context) as trace:
            published = await self._publish(*values, trace.trace_context)
            trace.published(published.receipts)
            return published

    async def _publish(
        self, service: Service, organization_id: str, idempotency_key: str | None, body: bytes, trace_context: str
    ) -> Published:
        events = await self._decode(service, body)
        text = parse_key(idempotency_key)
        key = None if text is None else await self._key(text, events)
        return await service.publisher.publish_once(organization_id, events, key, trace_context)

    async def _key(self, text: str, events: Sequence[RawEvent]) -> PublishKey:
        """Return an idempotency key with what its request means, in slices beside the event loop."""
        meaning, left = hashlib.sha256(self.name.encode() + b"\0"), SLICE
        for event in events:
            meaning.update(event.event_code.encode() + b"\0" + meaning_of(event.data))
            left -= len(event.data)
            if left < 0:
                await asyncio.sleep(0)
                left = SLICE
        return PublishKey(text, meaning.digest())

    async def _decode(self, service: Service, body: bytes) -> list[RawEvent]:
        """Decode a body; a code that is unknown may have been created on another node just now."""
        known = service.publisher.event_types
        try:
            return await self.decode(body, known)
        except InvalidInput as error:
            if not any(wrong.field.endswith("/event_code") for wrong in error.errors):
                raise
            now_known = await service.event_types.look_again()
            if now_known.version == known.version:
                raise
        return await self.decode(body, now_known)


def _receipt(receipt: Receipt) -> dict[str, str | int]:
    return {
        "id": receipt.id,
        "event_code": receipt.event_code,
        "created_at": to_rfc3339(receipt.created_at),
        "deliveries": receipt.deliveries,
    }


_Event: Final = struct_of(EventPublish, data=Raw)
_decode_event: Final[_Decode] = msgspec.json.Decoder(_Event).decode
_decode_batch: Final[_Decode] = msgspec.json.Decoder(struct_of(EventBatch, events=list[_Event])).decode  # type: ignore[valid-type] # made at run time
_EMPTY_EVENT: Final = '{"event_code":"","data":}'
_EMPTY_BATCH: Final = '{"events":[]}'


def decode_event(body: bytes, event_types: Catalogue = BUILT_IN) -> RawEvent:
    """Return the event in ``body``. Raises MalformedBody, or InvalidInput with at most 100 wrong fields."""
    _require_utf8(body)
    try:
        event = _validated(_decode_event(body), event_types)
    except INVALID:
        raise explain_event(body, event_types) from None
    if repeated := _repeated_in_event(body, event):
        raise InvalidInput(repeated)
    return event


async def decode_batch(body: bytes, event_types: Catalogue = BUILT_IN) -> list[RawEvent]:
    """Return the events in ``body``, in order, in slices beside the event loop. Raises as :func:`decode_event` does."""
    _require_utf8(body)
    events: list[RawEvent] = []
    left = SLICE
    try:
        for event in _decode_batch(body).events:
            events.append(_validated(event, event_types))
            left -= len(event.data)
            if left < 0:
                await asyncio.sleep(0)
                left = SLICE
        raw = list(map(bytes, split_batch(body).events))
    except INVALID:
        raise await explain_batch(body, partial(_is_valid, event_types), event_types) from None
    repeated = repeated_beside(raw, body, len(_EMPTY_BATCH) + len(raw) - 1, b'"events"')
    for index, (text, event) in enumerate(zip(raw, events, strict=True)):
        for found in _repeated_in_event(text, event):
            repeated.append(FieldError(f"/events/{index}{found.field}", found.code, found.message))
    if repeated:
        raise InvalidInput(repeated[:MAX_ERRORS])
    return events


def _repeated_in_event(body: bytes, event: RawEvent) -> list[FieldError]:
    """Return an error for each member that an event repeats. Its data are passed on as they are."""
    return repeated_beside((event.data,), body, len(_EMPTY_EVENT) + len(event.event_code), b'"data"')


def _validated(event: Any, event_types: Catalogue) -> RawEvent:  # noqa: ANN401 of a type made at run time
    """Return an event with what it is about. Raises one of INVALID where code or data are not valid."""
    reader = event_types.publishable(event.event_code)
    if reader is None:
        raise msgspec.ValidationError("event_code")
    return RawEvent(event.event_code, bytes(event.data), reader.read(event.data))


def _require_utf8(body: bytes) -> None:
    """Raise MalformedBody for bytes that are not UTF-8, which msgspec does not see in what it skips."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}") from None


def _is_valid(event_types: Catalogue, event: Raw) -> bool:
    try:
        _validated(_decode_event(event), event_types)
    except INVALID:
        return False
    return True


async def _decode_single(body: bytes, event_types: Catalogue) -> list[RawEvent]:
    return [decode_event(body, event_types)]


PublishRoute = Route[PublishHandler]

publish_event: Final = PublishHandler(
    name="publish_event",
    summary="Publish an event: 202 once it is durable.",
    max_body_bytes=lambda _: MAX_DATA_BYTES + MAX_ENVELOPE_BYTES,
    decode=_decode_single,
    view=lambda receipts: _receipt(receipts[0]),
)
publish_batch: Final = PublishHandler(
    name="publish_batch",
    summary="Publish up to 1000 events, all or nothing.",
    max_body_bytes=lambda settings: settings.max_request_bytes,
    decode=decode_batch,
    view=lambda receipts: {"data": [_receipt(receipt) for receipt in receipts]},
)
