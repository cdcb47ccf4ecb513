"""The hot path: events in. Lean routes, which ``door.py`` answers itself.

::

    read ─▶ decode (msgspec, data kept as the bytes that came) ─▶ service.publisher ─▶ 202
                        └─ where that fails, the documented shape names everything that is wrong

The quick decoder accepts nothing that the documented shape refuses, save what it cannot see in the members it skips:
bytes that are not UTF-8, which are looked for first, and deeper nesting than the shape takes, which does no harm.
"""

import hashlib
from typing import Any, Final

from packhook.api.explain import explain_batch, explain_event
from packhook.api.lean import Call, LeanHandler
from packhook.api.quick import REFUSED, Given, decode_batch, decode_event
from packhook.core.clock import to_rfc3339
from packhook.core.errors import FieldError, InvalidInput, MalformedBody
from packhook.core.model import MAX_DATA_BYTES, Receipt
from packhook.service import rules
from packhook.store.base import Callback

ENVELOPE: Final = 4096


Receipts = tuple[Receipt, ...]


def _begin_event(call: Call, body: bytes, told: Callback[Receipts]) -> None:
    _publish(call, b"event", body, [_decode(body)], told)


def _begin_batch(call: Call, body: bytes, told: Callback[Receipts]) -> None:
    _publish(call, b"batch", body, _decode_many(body), told)


def _publish(call: Call, kind: bytes, body: bytes, events: list[Given], told: Callback[Receipts]) -> None:
    key = _idempotency_key(call)
    fingerprint = b"" if key is None else hashlib.sha256(kind + b"\0" + body).digest()
    call.service.publisher.publish(call.organization_id, events, told, key, fingerprint)


def _idempotency_key(call: Call) -> str | None:
    text = call.header(b"idempotency-key")
    if text is None:
        return None
    try:
        return rules.idempotency_key(text)
    except ValueError as error:
        raise InvalidInput([FieldError("Idempotency-Key", "invalid", str(error))]) from None


def _decode(body: bytes) -> Given:
    _require_utf8(body)
    try:
        return decode_event(body)
    except REFUSED:
        raise explain_event(body) from None


def _decode_many(body: bytes) -> list[Given]:
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


def _view(receipt: Receipt) -> str:
    """What a publisher gets, a JSON object: an id and a code hold nothing that JSON would escape."""
    return (
        f'{{"id":"{receipt.id}","event_code":"{receipt.event_code}",'
        f'"created_at":"{to_rfc3339(receipt.created_at)}","deliveries":{receipt.deliveries}}}'
    )


publish_event: Final[LeanHandler[Any]] = LeanHandler(
    name="publish_event",
    summary="Publish an event: 202 once it is durable.",
    limit=lambda _: MAX_DATA_BYTES + ENVELOPE,
    begin=_begin_event,
    answer=lambda receipts: _view(receipts[0]).encode(),
)
publish_batch: Final[LeanHandler[Any]] = LeanHandler(
    name="publish_batch",
    summary="Publish up to 1000 events, all or nothing.",
    limit=lambda settings: settings.max_request_bytes,
    begin=_begin_batch,
    answer=lambda receipts: f'{{"data":[{",".join([_view(receipt) for receipt in receipts])}]}}'.encode(),
)
