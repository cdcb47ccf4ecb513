"""What is wrong with a publish that the quick decoder refused, by the documented shape; at a bounded cost.

Explaining costs a thousand times what refusing does. So only small bodies go through the shape as a whole; of a large
batch the events that are wrong, one by one, until there is enough to say.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from packhook.api.bodies import SMALL_BODY, parse_shape
from packhook.api.quick import REFUSED, decode_event
from packhook.api.schemas.events import EventBatch, EventPublish
from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput, MalformedBody, RequestError
from packhook.core.model import MAX_BATCH_EVENTS

MOST_ERRORS: Final = 100
MOST_MEMBERS: Final = 500
_NEITHER: Final = "the body is nested too deeply, or names a member twice with a value that is wrong"


class _Events(Struct, forbid_unknown_fields=True):
    events: list[Raw]


_decode_events: Final = msgspec.json.Decoder(_Events).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def explain_event(body: bytes) -> RequestError:
    """MalformedBody, or InvalidInput with what is wrong, 100 fields at most."""
    try:
        members = len(_decode_members(body))
    except REFUSED:
        members = 0  # no object, or no JSON at all: the shape says so at once
    if members > MOST_MEMBERS:
        return InvalidInput(
            [FieldError("", "invalid", f"an event has event_code and data, this has {members} members")]
        )
    try:
        parse_shape(body, EventPublish, {})
    except InvalidInput as error:
        return InvalidInput(error.errors[:MOST_ERRORS])
    except MalformedBody as error:
        return error
    return MalformedBody(_NEITHER)


def explain_batch(body: bytes) -> RequestError:
    """The same for a batch: of one that is large, the first events that are wrong."""
    if len(body) <= SMALL_BODY:
        return _explain_small_batch(body)
    try:
        events = _decode_events(body).events
    except msgspec.ValidationError as error:
        return InvalidInput([FieldError("/events", "invalid", str(error))])
    except REFUSED as error:
        return MalformedBody(str(error))
    if len(events) > MAX_BATCH_EVENTS:
        said = f"expected 1 to {MAX_BATCH_EVENTS} events, got {len(events)}"
        return InvalidInput([FieldError("/events", "invalid", said)])
    return _explain_events(events)


def _explain_small_batch(body: bytes) -> RequestError:
    try:
        parse_shape(body, EventBatch, {})
    except InvalidInput as error:
        return InvalidInput(error.errors[:MOST_ERRORS])
    except MalformedBody as error:
        return error
    return MalformedBody(_NEITHER)


def _explain_events(events: list[Raw]) -> RequestError:
    errors: list[FieldError] = []
    for number, raw in enumerate(events):
        if len(errors) >= MOST_ERRORS:
            break
        if _is_well(raw):
            continue
        match explain_event(bytes(raw)):
            case InvalidInput() as wrong:
                errors += [
                    FieldError(f"/events/{number}{each.field}", each.code, each.message) for each in wrong.errors
                ]
            case wrong:
                errors.append(FieldError(f"/events/{number}", "invalid", wrong.detail))
    return InvalidInput(errors[:MOST_ERRORS]) if errors else MalformedBody(_NEITHER)


def _is_well(raw: Raw) -> bool:
    try:
        decode_event(bytes(raw))
    except (*REFUSED, BodyTooLarge):
        return False
    return True
