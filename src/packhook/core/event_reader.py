"""Check the data of an event and read what it is about, with one decoding: compiled once for each event type.

::

    data ─┬─ built in: its Struct ───────────────┐
          ├─ a schema: decoded, then jsonschema ─┼─▶ About      violations(): every one, by JSON Pointer
          └─ neither: the members of pointers ───┘
"""

import re
from functools import cached_property
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator
from msgspec import Raw, Struct

from packhook.core.errors import FieldError
from packhook.core.event_schema import compile_schema, data_errors
from packhook.core.model import EventType
from packhook.core.schema_cost import Limits, limits_of
from packhook.core.subject import (
    INVALID,
    About,
    ReadBytes,
    can_read_bytes,
    pointer,
    read_bytes,
    read_struct,
    read_value,
)

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_PLACE: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class EventReader:
    """Read data of one event type. ``of`` is the Struct of a built-in one, which its schema is made from."""

    def __init__(self, event_type: EventType, of: type[Struct] | None = None) -> None:
        self._event_type = event_type
        self.read: ReadBytes
        if of is not None:
            self._decode, self._read = msgspec.json.Decoder(of).decode, read_struct(event_type)
            self.read = self._read_struct
        elif event_type.schema is not None or not can_read_bytes(event_type):
            self._read = read_value(event_type)
            self.read = self._read_checked
        else:
            self.read = read_bytes(event_type)

    def _read_struct(self, data: bytes | Raw) -> About:
        return self._read(self._decode(data))

    def _read_checked(self, data: bytes | Raw) -> About:
        """Return what data are about. Raises one of INVALID where they are no object or break the schema."""
        value = _decode_object(data)
        if self._limits.problem(value, len(bytes(data))) or not self._validator.is_valid(value):
            raise msgspec.ValidationError("the data break the schema")
        return self._read(value)

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return compile_schema(self._event_type.schema or {})

    @cached_property
    def _limits(self) -> Limits:
        return limits_of(self._event_type.schema or {})

    def violations(self, data: bytes | Raw, at: str) -> list[FieldError]:
        """Return why ``read`` refuses data, below the pointer ``at``; nothing where it does not."""
        try:
            self.read(data)
        except INVALID as error:
            return self._explain(data, at) or [_explain_decoding(error, at)]
        return []

    def _explain(self, data: bytes | Raw, at: str) -> list[FieldError]:
        try:
            value = _decode_object(data)
            if problem := self._limits.problem(value, len(bytes(data))):
                return [FieldError(at, "too_much_to_check", problem)]
            return data_errors(self._validator, value, at)
        except INVALID:
            return []


def _explain_decoding(error: BaseException, at: str) -> FieldError:
    """Return msgspec's error; it ends with the place, such as ``$.lines[0].sku``."""
    if isinstance(error, RecursionError):
        return FieldError(at, "invalid", "the data are nested too deeply")
    message, _, place = str(error).partition(" - at `$")
    found = [name or index for name, index in _PLACE.findall(place.removesuffix("`"))]
    return FieldError(at + pointer(found), "invalid", message)
