"""The quick decoder of what is published: says yes or no, and keeps each ``data`` as the very bytes that came.

A single event is mostly spelled in one of two ways up to its ``data``. Then the rest is read once, as the order that it
is. A body that is spelled in any other way is read as JSON first, to find where its data is.
"""

from typing import Final

import msgspec

from packhook.api.order import decode_order
from packhook.api.quickshapes import QuickBatch, QuickEvent
from packhook.core.errors import BodyTooLarge
from packhook.core.model import EVENT_CODES, MAX_DATA_BYTES

_CODES: Final = frozenset(EVENT_CODES)

REFUSED: Final = (msgspec.DecodeError, RecursionError)
"""What decoding raises for a body that the documented shape is to explain."""


Given = tuple[str, bytes]
"""An event as it was given: its code, and its data."""

_SPELLINGS: Final = (b'{"event_code":"%b","data":', b'{"event_code": "%b", "data": ')
_BEGINNINGS: Final = {spelling % code.encode(): code for code in EVENT_CODES for spelling in _SPELLINGS}

_event: Final = msgspec.json.Decoder(QuickEvent).decode
_batch: Final = msgspec.json.Decoder(QuickBatch).decode


def decode_event(body: bytes) -> Given:
    """One event. Raises one of REFUSED, or BodyTooLarge."""
    event = _as_most_spell_it(body) or _found(_event(body))
    _check_size(event[1])
    return event


def decode_batch(body: bytes) -> list[Given]:
    """A batch. Raises one of REFUSED, or BodyTooLarge."""
    events = [_found(event) for event in _batch(body).events]
    for _, data in events:
        _check_size(data)
    return events


def _as_most_spell_it(body: bytes) -> Given | None:
    """The event, where its data is an order from its first brace to the last but one; None where that is not so."""
    begin = body.find(b"{", 1)
    code = _BEGINNINGS.get(body[:begin])
    if code is None or not body.endswith(b"}}"):
        return None
    data = body[begin:-1]
    try:
        decode_order(data)
    except REFUSED:
        return None
    return code, data


def _found(event: QuickEvent) -> Given:
    if event.event_code not in _CODES:
        raise msgspec.ValidationError("event_code")
    decode_order(event.data)
    return event.event_code, bytes(event.data)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_DATA_BYTES:
        raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(data)}")
