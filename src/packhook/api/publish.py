"""The hot path: events in. Lean routes, which ``door.py`` answers itself.

::

    read ─▶ decode (msgspec, data kept as the bytes that came) ─▶ service.publisher ─▶ 202
                        └─ where that fails, the documented shape names everything that is wrong

The quick decoder accepts nothing that the documented shape refuses, save what it cannot see in the members it skips:
bytes that are not UTF-8, which are looked for first, and deeper nesting than the shape takes, which does no harm.
"""

import hashlib
from typing import Final

from packhook.api import views
from packhook.api.answers import encode
from packhook.api.explain import explain_batch, explain_event
from packhook.api.lean import Call
from packhook.api.quick import REFUSED, QuickBatch, QuickEvent, decode_batch, decode_event
from packhook.core.errors import FieldError, InvalidInput, MalformedBody
from packhook.core.model import MAX_DATA_BYTES
from packhook.service import rules
from packhook.store.base import Receipt

ENVELOPE: Final = 4096


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


def _decode(body: bytes) -> QuickEvent:
    _require_utf8(body)
    try:
        return decode_event(body)
    except REFUSED:
        raise explain_event(body) from None


def _decode_many(body: bytes) -> QuickBatch:
    _require_utf8(body)
    try:
        return decode_batch(body)
    except REFUSED:
        raise explain_batch(body) from None


def _require_utf8(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}") from None
