"""Decode published bodies. The ``data`` of each event stays the bytes that were sent.

::

    body ─▶ UTF-8? ─▶ envelope (msgspec; data stays raw) ─▶ validate(code, data) ─▶ events
                                    └─ invalid ─▶ the documented model (pydantic) names every wrong field

msgspec decides quickly whether a body is valid, with types that are made from the documented models. It skips members
that no model knows, so those may be nested deeper, or have more digits, than pydantic accepts; that does no harm.

Explaining costs a thousand times what refusing costs. So only a small body is given to the documented model as a whole;
of a large batch only the invalid events are, one by one, until there are enough errors.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct
from pydantic import BaseModel

from packhook.api.bodies import SMALL_BODY, parse_shape
from packhook.api.publish.order import Order
from packhook.api.schemas.events import EventBatch, EventPublish
from packhook.core.errors import FieldError, InvalidInput, MalformedBody, RequestError
from packhook.core.event_types import PUBLISHED_CODES
from packhook.core.model import MAX_BATCH_EVENTS

MAX_ERRORS: Final = 100
MAX_MEMBERS: Final = 500

INVALID: Final = (msgspec.DecodeError, RecursionError)
"""What msgspec raises for an invalid body."""

RawEvent = tuple[str, bytes]
"""An event as it was sent: its event code, and its data as JSON."""

_Decode = Callable[[bytes | Raw], Any]


def struct_of(model: type[BaseModel], **replaced: object) -> type[Struct]:
    """Return a msgspec Struct with the fields of a pydantic model: types, minimum lengths, defaults, unknown members.

    ``replaced`` maps field names to other types.
    """
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind: Any = replaced.get(name, field.annotation)
        for rule in () if name in replaced else field.metadata:
            if hasattr(rule, "min_length"):
                kind = Annotated[kind, Meta(min_length=rule.min_length)]
        fields.append((name, kind) if field.is_required() else (name, kind, field.default))
    forbids = model.model_config.get("extra") == "forbid"
    return msgspec.defstruct(model.__name__, fields, gc=False, forbid_unknown_fields=forbids)


_Event: Final = struct_of(EventPublish, data=Raw)
_decode_event: Final[_Decode] = msgspec.json.Decoder(_Event).decode
_decode_batch: Final[_Decode] = msgspec.json.Decoder(struct_of(EventBatch, events=list[_Event])).decode  # type: ignore[valid-type] # made at run time
_split_batch: Final[_Decode] = msgspec.json.Decoder(struct_of(EventBatch, events=list[Raw])).decode
_split_members: Final[_Decode] = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_order: Final[_Decode] = msgspec.json.Decoder(struct_of(Order)).decode
_VALIDATORS: Final = dict.fromkeys(PUBLISHED_CODES, _decode_order)


def decode_event(body: bytes) -> RawEvent:
    """Return the event in ``body``. Raises MalformedBody, or InvalidInput with at most 100 wrong fields."""
    _require_utf8(body)
    try:
        return _validated(_decode_event(body))
    except INVALID:
        raise _explain_event(body) from None


def decode_batch(body: bytes) -> list[RawEvent]:
    """Return the events in ``body``, in order. Raises as :func:`decode_event` does."""
    _require_utf8(body)
    try:
        return [_validated(event) for event in _decode_batch(body).events]
    except INVALID:
        raise _explain_batch(body) from None


def validate(event_code: str, data: bytes | Raw) -> None:
    """Raise one of INVALID unless ``data`` is valid for this event code."""
    check = _VALIDATORS.get(event_code)
    if check is None:
        raise msgspec.ValidationError("event_code")
    check(data)


def _validated(event: Any) -> RawEvent:  # noqa: ANN401 of a type made at run time
    validate(event.event_code, event.data)
    return event.event_code, bytes(event.data)


def _require_utf8(body: bytes) -> None:
    """Raise MalformedBody for bytes that are not UTF-8, which msgspec does not see in what it skips."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}") from None


def _explain_event(body: bytes) -> RequestError:
    try:
        members = len(_split_members(body))
    except INVALID:
        members = 0  # not an object, or not JSON: the model says so at once
    if members > MAX_MEMBERS:
        text = f"an event has event_code and data, this has {members} members"
        return InvalidInput([FieldError("", "invalid", text)])
    return _explain_by(EventPublish, body)


def _explain_batch(body: bytes) -> RequestError:
    if len(body) <= SMALL_BODY:
        return _explain_by(EventBatch, body)
    try:
        events = _split_batch(body).events
    except msgspec.ValidationError as error:
        return InvalidInput([FieldError("/events", "invalid", str(error))])
    except INVALID as error:
        return MalformedBody(str(error))
    if len(events) > MAX_BATCH_EVENTS:
        text = f"expected 1 to {MAX_BATCH_EVENTS} events, got {len(events)}"
        return InvalidInput([FieldError("/events", "invalid", text)])
    return _explain_invalid(events)


def _explain_invalid(events: list[Raw]) -> RequestError:
    errors: list[FieldError] = []
    for index, event in enumerate(events):
        if len(errors) >= MAX_ERRORS:
            break
        if _is_valid(event):
            continue
        match _explain_event(bytes(event)):
            case InvalidInput() as invalid:
                errors += [FieldError(f"/events/{index}{at.field}", at.code, at.message) for at in invalid.errors]
            case other:
                errors.append(FieldError(f"/events/{index}", "invalid", other.detail))
    return _first(errors)


def _is_valid(event: Raw) -> bool:
    try:
        _validated(_decode_event(event))
    except INVALID:
        return False
    return True


def _explain_by(model: type[BaseModel], body: bytes) -> RequestError:
    reason = _reason_not_json(body)
    if reason:
        return MalformedBody(reason)
    try:
        parse_shape(body, model, {})
    except InvalidInput as error:
        return _first(error.errors)
    except MalformedBody as error:
        return error
    return _first([])


def _reason_not_json(body: bytes) -> str:
    """Return why a body is no JSON although Python's parser accepts it; "" for any other body."""
    constants: list[str] = []
    try:
        value = json.loads(body, parse_constant=constants.append)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "the body is not JSON: a string contains half of a surrogate pair"
    except (ValueError, RecursionError):
        return ""
    return f"the body is not JSON: {constants[0]} is no number" if constants else ""


def _first(errors: list[FieldError]) -> RequestError:
    """Return the first errors; without any, the model accepts what msgspec refuses."""
    if errors:
        return InvalidInput(errors[:MAX_ERRORS])
    return MalformedBody("the body is nested too deeply, or repeats a member, once with an invalid value")
