"""The quick decoder of what is published: says yes or no, and keeps each ``data`` as the very bytes that came."""

from typing import Final

import msgspec
from msgspec import Raw

from packhook.api.order import decode_order
from packhook.api.quickshapes import QuickBatch, QuickEvent
from packhook.core.errors import BodyTooLarge
from packhook.core.model import EVENT_CODES, MAX_DATA_BYTES

_CODES: Final = frozenset(EVENT_CODES)

REFUSED: Final = (msgspec.DecodeError, RecursionError)
"""What decoding raises for a body that the documented shape is to explain."""


_event: Final = msgspec.json.Decoder(QuickEvent).decode
_batch: Final = msgspec.json.Decoder(QuickBatch).decode


def decode_event(body: bytes | Raw) -> QuickEvent:
    """One event. Raises one of REFUSED, or BodyTooLarge."""
    event = _event(body)
    _check(event)
    return event


def decode_batch(body: bytes) -> QuickBatch:
    """A batch. Raises one of REFUSED, or BodyTooLarge."""
    batch = _batch(body)
    for event in batch.events:
        _check(event)
    return batch


def _check(event: QuickEvent) -> None:
    if event.event_code not in _CODES:
        raise msgspec.ValidationError("event_code")
    decode_order(event.data)
    if len(event.data) > MAX_DATA_BYTES:
        raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(event.data)}")
