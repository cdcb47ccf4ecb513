"""The catalogue: every event type of an instance, built in or its own. All questions about a code or its data.

::

    built in ─┐                      ┌─▶ which codes are there: webhooks, filters, OpenAPI
    its own ──┴─▶ Catalogue (a value)┤
    (stored)      one per version    └─▶ reader of a code: data valid? ─▶ subject and references

A catalogue never changes. A change of a type makes a new one, which keeps the compiled readers of all others.

A reader checks data and reads what they are about with one decoding::

    data ─┬─ built in: its Struct ───────────────┐
          ├─ a schema: decoded, then jsonschema ─┼─▶ About      violations(): every one, by JSON Pointer
          └─ neither: the members of pointers ───┘
"""

import difflib
import re
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator
from msgspec import Raw, Struct

from packhook.core.errors import FieldError, NotFound
from packhook.core.event_patterns import EVERY, any_covers, is_pattern
from packhook.core.event_schema import compile_schema, data_errors
from packhook.core.model import EventType
from packhook.core.operational_data import DATA_OF
from packhook.core.operational_events import OPERATIONAL_EVENTS
from packhook.core.order_events import ORDER_EVENTS, Order
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

MAX_NAMED: Final = 20
"""How many codes a message names."""

MAX_COMPARED_LENGTH: Final = 200
NEIGHBOURS: Final = 4
"""How many codes on each side of a text, in alphabetical order, are compared with it."""

EVENT_TYPES: Final = {event_type.code: event_type for event_type in (*ORDER_EVENTS, *OPERATIONAL_EVENTS)}
"""Each built-in event type by its code."""

EVENT_CODES: Final = tuple(EVENT_TYPES)
"""The built-in codes."""

PUBLISHED_CODES: Final = tuple(event_type.code for event_type in ORDER_EVENTS)
"""The built-in codes that an organization may publish; packhook itself publishes the others."""

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_PLACE: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_STRUCTS: Final = {**dict.fromkeys(PUBLISHED_CODES, Order), **DATA_OF}


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


class Catalogue:
    """Hold the event types as they were at one version. Built-in types come first, the others by code."""

    def __init__(self, own: Iterable[EventType] = (), version: int = 0) -> None:
        """Hold these types beside the built-in ones. A stored type with the code of a built-in one is left out."""
        self.version = version
        self._types = dict(EVENT_TYPES)
        self._types |= {
            found.code: found for found in sorted(own, key=lambda found: found.code) if found.code not in EVENT_TYPES
        }
        self._live = {code: found for code, found in self._types.items() if found.archived_at is None}
        self._readers: dict[str, EventReader] = {}

    def changed(self, event_types: Iterable[EventType], version: int) -> "Catalogue":
        """Return the catalogue with these types in place of those with their codes."""
        changed = {found.code: found for found in event_types}
        own = {found.code: found for found in self._types.values() if not found.is_built_in} | changed
        after = Catalogue(own.values(), version)
        after._readers = {code: reader for code, reader in self._readers.items() if code not in changed}
        return after

    @property
    def types(self) -> Mapping[str, EventType]:
        """Return all types by code, archived ones too."""
        return self._types

    @property
    def live(self) -> Mapping[str, EventType]:
        """Return the types by code that are not archived: what a webhook may subscribe to."""
        return self._live

    @property
    def published(self) -> tuple[EventType, ...]:
        """Return the types that an organization may publish."""
        return tuple(found for code, found in self._live.items() if not self.is_operational(code))

    @staticmethod
    def is_operational(code: str) -> bool:
        """Tell whether packhook itself publishes events of this code."""
        return code in DATA_OF

    def get(self, code: str) -> EventType:
        """Return a type. Raises NotFound."""
        found = self._types.get(code)
        if found is None:
            raise NotFound(f"no event type {code!r}")
        return found

    def reader(self, code: str) -> EventReader | None:
        """Return what checks and reads data of this code, compiled once; None where there is no such type.

        Archived types have one, too: their events were accepted before.
        """
        found = self._readers.get(code)
        if found is None and code in self._types:
            found = self._readers[code] = EventReader(self._types[code], _STRUCTS.get(code))
        return found

    def publishable(self, code: str) -> EventReader | None:
        """Return the reader of a code that an organization may publish; None for any other."""
        return self.reader(code) if code in self._live and code not in DATA_OF else None

    def known_code(self, code: str) -> str:
        """Return the code of a type, archived or not; raise ValueError with the nearest one."""
        return code if code in self._types else self.live_code(code)

    def live_code(self, code: str) -> str:
        """Return the code of a type that is not archived; raise ValueError with the nearest one."""
        if code in self._live:
            return code
        if code in self._types:
            raise ValueError(f"the event type `{code}` is archived")
        near = nearest(code, self._live)
        if near is not None:
            raise ValueError(f"{code!r} is not an event code; did you mean `{near}`?")
        raise ValueError(_expected(tuple(self._live)))

    def codes_of(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Return the codes of all types, archived ones too, that some pattern covers."""
        some = tuple(patterns)
        return tuple(code for code in self._types if any_covers(some, code))

    def known_pattern(self, text: str) -> str:
        """Return a code, or a pattern that covers some, archived or not; raise ValueError with the nearest one."""
        return _pattern(text, self._types) if text.endswith("*") else self.known_code(text)

    def live_pattern(self, text: str) -> str:
        """Return a code, or a pattern that covers some, of types that are not archived; raise ValueError likewise."""
        return _pattern(text, self._live) if text.endswith("*") else self.live_code(text)

    def published_code(self, code: str) -> str:
        """Return a code that an organization may publish; raise ValueError for any other."""
        if self.is_operational(self.live_code(code)):
            expected = _expected(tuple(found.code for found in self.published))
            raise ValueError(f"`{code}` is an operational event, which packhook itself publishes; {expected}")
        return code


def _pattern(text: str, codes: Iterable[str]) -> str:
    if is_pattern(text) and any(any_covers((text,), code) for code in codes):
        return text
    patterns = [EVERY, *dict.fromkeys(f"{code.rpartition('.')[0]}.*" for code in codes)]
    near = nearest(text, patterns)
    if near is not None:
        raise ValueError(f"{text!r} covers no event code; did you mean `{near}`?")
    named = ", ".join(f"`{item}`" for item in patterns[:MAX_NAMED])
    raise ValueError(f"{text!r} covers no event code; patterns are {named}")


def nearest(text: str, codes: Iterable[str]) -> str | None:
    """Return the code that a text was probably meant to be, None if it is like none of them.

    Only those that begin or end most like it are compared: a comparison takes 40 µs, and a request may have many texts.
    """
    text, ordered = text[:MAX_COMPARED_LENGTH], sorted(codes)
    backwards = sorted(code[::-1] for code in ordered)
    some = {*_around(text, ordered), *(code[::-1] for code in _around(text[::-1], backwards))}
    near = difflib.get_close_matches(text, sorted(some), n=1, cutoff=0.75)
    return near[0] if near else None


def _around(text: str, ordered: Sequence[str]) -> Sequence[str]:
    at = bisect(ordered, text)
    return ordered[max(0, at - NEIGHBOURS) : at + NEIGHBOURS]


def _expected(codes: tuple[str, ...]) -> str:
    more = len(codes) - MAX_NAMED
    named = ", ".join(f"`{code}`" for code in codes[:MAX_NAMED])
    return f"expected one of {named}" + (f", or of {more} others" if more > 0 else "")


BUILT_IN: Final = Catalogue()
"""The catalogue of an instance without event types of its own."""
