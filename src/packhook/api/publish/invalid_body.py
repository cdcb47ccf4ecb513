"""Say why a published body is refused, with every wrong field.

Explaining costs a thousand times what refusing costs. So only a small body is given to the documented model (pydantic)
as a whole; of a large batch only the invalid events are, one by one, until there are enough errors.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw
from pydantic import BaseModel

from packhook.api.requests import SMALL_BODY, parse_shape
from packhook.api.schemas.events import EventBatch, EventPublish
from packhook.api.schemas.model import struct_of
from packhook.core.errors import FieldError, InvalidInput, MalformedBody, RequestError
from packhook.core.model import MAX_BATCH_EVENTS

MAX_ERRORS: Final = 100
MAX_MEMBERS: Final = 500

INVALID: Final = (msgspec.DecodeError, RecursionError)
"""What msgspec raises for an invalid body."""

_split_batch: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(struct_of(EventBatch, events=list[Raw])).decode
_split_members: Final[Callable[[bytes], dict[str, Raw]]] = msgspec.json.Decoder(dict[str, Raw]).decode


def explain_event(body: bytes) -> RequestError:
    """Return the error for the body of one event that is invalid: at most 100 wrong fields."""
    try:
        members = len(_split_members(body))
    except INVALID:
        members = 0  # not an object, or not JSON: the model says so at once
    if members > MAX_MEMBERS:
        text = f"an event has event_code and data, this has {members} members"
        return InvalidInput([FieldError("", "invalid", text)])
    return _explain_by(EventPublish, body)


def explain_batch(body: bytes, is_valid: Callable[[Raw], bool]) -> RequestError:
    """Return the error for a batch that is invalid; ``is_valid`` judges one of its events."""
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
    return _explain_invalid(events, is_valid)


def _explain_invalid(events: list[Raw], is_valid: Callable[[Raw], bool]) -> RequestError:
    errors: list[FieldError] = []
    for index, event in enumerate(events):
        if len(errors) >= MAX_ERRORS:
            break
        if is_valid(event):
            continue
        match explain_event(bytes(event)):
            case InvalidInput() as invalid:
                errors += [FieldError(f"/events/{index}{at.field}", at.code, at.message) for at in invalid.errors]
            case other:
                errors.append(FieldError(f"/events/{index}", "invalid", other.detail))
    return _first(errors)


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
