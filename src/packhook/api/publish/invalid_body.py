"""Say why a published body is refused, with every wrong field.

The documented model says what is wrong around the data, the reader of the event type what is wrong in them. Explaining
costs a thousand times what refusing costs, so of a batch only the invalid events are explained, one by one, until there
are enough errors.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw
from pydantic import BaseModel

from packhook.api.requests import SMALL_BODY, parse_shape, repeated_members
from packhook.api.responses import SLICE
from packhook.api.schemas.events import CATALOGUE, EventBatch, EventPublish
from packhook.api.schemas.model import struct_of
from packhook.core.errors import FieldError, InvalidInput, MalformedBody, RequestError
from packhook.core.event_types import Catalogue
from packhook.core.model import MAX_BATCH_EVENTS
from packhook.core.subject import INVALID

MAX_ERRORS: Final = 100
MAX_MEMBERS: Final = 500

split_batch: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(struct_of(EventBatch, events=list[Raw])).decode
_split_members: Final[Callable[[bytes], dict[str, Raw]]] = msgspec.json.Decoder(dict[str, Raw]).decode


def explain_event(body: bytes, event_types: Catalogue) -> RequestError:
    """Return the error for the body of one event that is invalid: at most 100 wrong fields."""
    try:
        found = _split_members(body)
    except INVALID:
        found = {}  # not an object, or not JSON: the model says so at once
    if len(found) > MAX_MEMBERS:
        text = f"an event has event_code and data, this has {len(found)} members"
        return InvalidInput([FieldError("", "invalid", text)])
    around = _explain_by(EventPublish, body, event_types)
    if not isinstance(around, InvalidInput):
        return around
    if not any(error.field == "/data" for error in around.errors):
        around.errors.extend(_data_errors(found, event_types))
    return _first(around.errors or repeated_members(body))  # msgspec judges each of them, pydantic the last


async def explain_batch(body: bytes, is_valid: Callable[[Raw], bool], event_types: Catalogue) -> RequestError:
    """Return the error for a batch that is invalid, in slices; ``is_valid`` judges one of its events."""
    try:
        events = split_batch(body).events
    except msgspec.ValidationError as error:
        if len(body) <= SMALL_BODY:
            return _of(_explain_by(EventBatch, body, event_types))
        return InvalidInput([FieldError("/events", "invalid", str(error))])
    except INVALID as error:
        reason = _reason_not_json(body) if len(body) <= SMALL_BODY else ""
        return MalformedBody(reason or str(error))
    if len(events) > MAX_BATCH_EVENTS:
        text = f"expected 1 to {MAX_BATCH_EVENTS} events, got {len(events)}"
        return InvalidInput([FieldError("/events", "invalid", text)])
    return await _explain_invalid(events, is_valid, event_types)


async def _explain_invalid(events: list[Raw], is_valid: Callable[[Raw], bool], event_types: Catalogue) -> RequestError:
    errors: list[FieldError] = []
    left = SLICE
    for index, event in enumerate(events):
        if len(errors) >= MAX_ERRORS:
            break
        is_good = is_valid(event)
        left -= len(bytes(event)) if is_good else SLICE
        if left < 0:
            await asyncio.sleep(0)
            left = SLICE
        if is_good:
            continue
        match explain_event(bytes(event), event_types):
            case InvalidInput() as invalid:
                errors += [FieldError(f"/events/{index}{at.field}", at.code, at.message) for at in invalid.errors]
            case other:
                errors.append(FieldError(f"/events/{index}", "invalid", other.detail))
    return _first(errors)


def _data_errors(members: dict[str, Raw], event_types: Catalogue) -> list[FieldError]:
    """Return what is wrong in the data, if the event type is known."""
    try:
        reader = event_types.publishable(msgspec.json.decode(members["event_code"], type=str))
        return [] if reader is None else reader.violations(members["data"], "/data")
    except (*INVALID, LookupError):
        return []


def _explain_by(model: type[BaseModel], body: bytes, event_types: Catalogue) -> MalformedBody | InvalidInput:
    """Return what the model finds wrong; an InvalidInput without errors where it finds nothing."""
    reason = _reason_not_json(body)
    if reason:
        return MalformedBody(reason)
    try:
        parse_shape(body, model, {CATALOGUE: event_types})
    except (InvalidInput, MalformedBody) as error:
        return error
    return InvalidInput([])


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


def _of(error: RequestError) -> RequestError:
    return _first(error.errors) if isinstance(error, InvalidInput) else error


def _first(errors: list[FieldError]) -> RequestError:
    """Return the first errors; without any, the model accepts what msgspec refuses."""
    if errors:
        return InvalidInput(errors[:MAX_ERRORS])
    return MalformedBody("the body is nested too deeply")
