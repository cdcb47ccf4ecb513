"""The hot path: events in. Lean routes, which ``door.py`` answers itself.

::

    read ─▶ decode (msgspec, data kept as the bytes that came) ─▶ service.publisher ─▶ 202
                        └─ where that fails, the documented shape names everything that is wrong

The quick decoder accepts nothing that the documented shape refuses, save what it cannot see in the members it skips:
bytes that are not UTF-8, which are looked for first, and deeper nesting than the shape takes, which does no harm.
"""

import hashlib
from typing import Final

import msgspec
from msgspec import Raw, Struct

from packhook.api import shapes, views
from packhook.api.answers import encode
from packhook.api.bodies import parse_shape
from packhook.api.lean import Call
from packhook.api.order import decode_order
from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput, MalformedBody
from packhook.core.model import EVENT_CODES, MAX_DATA_BYTES
from packhook.service import rules
from packhook.store.base import Receipt

ENVELOPE: Final = 4096
_NEITHER: Final = "the body is nested too deeply, or names a member twice with a value that is wrong"
_CODES: Final = frozenset(EVENT_CODES)


class _Event(Struct, forbid_unknown_fields=True):
    event_code: str
    data: Raw


class _Batch(Struct, forbid_unknown_fields=True):
    events: list[_Event]


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_batch: Final = msgspec.json.Decoder(_Batch).decode


async def publish_event(call: Call) -> bytes:
    """Publish an event: 202 once it is durable."""
    body = await call.body(MAX_DATA_BYTES + ENVELOPE)
    event = _decode(body)
    receipts = await _publish(call, b"event", body, [(event.event_code, bytes(event.data))])
    return encode(views.receipt(receipts[0]))


async def publish_batch(call: Call) -> bytes:
    """Publish up to 1000 events, all or nothing."""
    body = await call.body(call.settings.max_request_bytes)
    batch = _decode_many(body)
    receipts = await _publish(call, b"batch", body, [(each.event_code, bytes(each.data)) for each in batch.events])
    return encode({"data": [views.receipt(receipt) for receipt in receipts]})


async def _publish(call: Call, kind: bytes, body: bytes, events: list[tuple[str, bytes]]) -> tuple[Receipt, ...]:
    key = _idempotency_key(call)
    fingerprint = b"" if key is None else hashlib.sha256(kind + b"\0" + body).digest()
    return await call.service.publisher.publish(call.organization_id, events, key, fingerprint)


def _idempotency_key(call: Call) -> str | None:
    text = call.header(b"idempotency-key")
    if text is None:
        return None
    try:
        return rules.idempotency_key(text)
    except ValueError as error:
        raise InvalidInput([FieldError("Idempotency-Key", "invalid", str(error))]) from None


def _decode(body: bytes) -> _Event:
    _require_utf8(body)
    try:
        event = _decode_event(body)
        _check(event)
    except (msgspec.DecodeError, RecursionError):
        parse_shape(body, shapes.EventPublish, {})
        raise MalformedBody(_NEITHER) from None
    return event


def _decode_many(body: bytes) -> _Batch:
    _require_utf8(body)
    try:
        batch = _decode_batch(body)
        for event in batch.events:
            _check(event)
    except (msgspec.DecodeError, RecursionError):
        parse_shape(body, shapes.EventBatch, {})
        raise MalformedBody(_NEITHER) from None
    return batch


def _check(event: _Event) -> None:
    """Raises what the quick decoder raises, so that the documented shape explains it."""
    if event.event_code not in _CODES:
        raise msgspec.ValidationError("event_code")
    decode_order(event.data)
    if len(event.data) > MAX_DATA_BYTES:
        raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(event.data)}")


def _require_utf8(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}") from None
