"""Read from an event's data what it is about: its subject, and the references by which people know it.

Every way in ends here, the API and ``packhook.publish()`` in SQL, so an event always gets the same subject. What reads
an event type's pointers is made once for each type, and decodes nothing but the members that they name.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from packhook.core.model import EventType

MAX_LENGTH: Final = 255
"""The longest text, in characters, that is a subject or a reference; a longer one is none."""

MAX_REFERENCES: Final = 3

_ODD: Final = re.compile(r"[\x00-\x1f\"\\]")
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])*)*")


class About(Struct, frozen=True):
    """Hold what an event is about. "" is no subject, or no reference at that pointer."""

    subject: str = ""
    reference_1: str = ""
    reference_2: str = ""
    reference_3: str = ""


NOTHING: Final = About()

ReadBytes = Callable[[bytes | Raw], About]
"""Read JSON. Raises one of INVALID for what is not a JSON object."""

ReadValue = Callable[[Any], About]
"""Read what was decoded before: objects are dicts, arrays are lists."""

INVALID: Final = (msgspec.DecodeError, RecursionError)
"""What msgspec raises for what is not JSON, or not of the type."""

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode

_Path = tuple[str, ...]


def is_pointer(text: str) -> bool:
    """Return whether a text is a JSON Pointer (RFC 6901)."""
    return _POINTER.fullmatch(text) is not None


def tokens(pointer: str) -> _Path:
    """Return the reference tokens of a JSON Pointer."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer of these reference tokens."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in path)


def read_bytes(event_type: EventType) -> ReadBytes:
    """Return what reads the pointers of an event type from JSON.

    Text alone counts: a number, ``null``, a text of more than 255 characters or with a NUL in it is none.
    """
    paths = _paths(event_type)
    names = list(dict.fromkeys(path[0] for path in paths if path))
    decode = msgspec.json.Decoder(_members_of(names)).decode
    places = [(names.index(path[0]), path[1:]) if path else None for path in paths]

    def read(data: bytes | Raw) -> About:
        members = msgspec.structs.astuple(decode(data))
        return About(*["" if place is None else _text_at(members[place[0]], place[1]) for place in places])

    return read


def can_read_bytes(event_type: EventType) -> bool:
    """Return whether :func:`read_bytes` can: not if a member has a quote, a backslash or a control in its name."""
    return not any(path and _ODD.search(path[0]) for path in _paths(event_type))


def read_value(event_type: EventType) -> ReadValue:
    """Return what reads the same from decoded data."""
    paths = _paths(event_type)
    return lambda data: About(*[_text_in(data, path) for path in paths])


def read_struct(event_type: EventType) -> ReadValue:
    """Return what reads the same from a Struct whose fields all the pointers name."""
    names = [path[0] for path in _paths(event_type)]
    return lambda data: About(*[usable(getattr(data, name)) for name in names])


def usable(value: object) -> str:
    """Return a value that can be indexed; "" for any other."""
    return value if isinstance(value, str) and len(value) <= MAX_LENGTH and "\0" not in value else ""


def subject_alone(pointer: str, data: bytes) -> bytes:
    """Return data with nothing but the text at the subject's pointer, where it is in them; ``{}`` without one."""
    path = tokens(pointer)
    wrapped: list[bytes] = []
    try:
        value = Raw(data)
        for token in path:
            is_array = bytes(value).startswith(b"[")
            value = _member(value, token)
            wrapped.append(b"[%b]" if is_array else b"{%b:%%b}" % msgspec.json.encode(token).replace(b"%", b"%%"))
        _decode_text(value)
    except (*INVALID, LookupError):
        return b"{}"
    found = bytes(value)
    for outer in reversed(wrapped):
        found = outer % found
    return found if wrapped else b"{}"


def _paths(event_type: EventType) -> list[_Path]:
    return [tokens(text) for text in (event_type.subject_pointer, *event_type.reference_pointers)]


def _members_of(names: Sequence[str]) -> type[Struct]:
    """Return a Struct of the members with these names; decoding skips all others."""
    fields: list[Any] = [(f"member_{number}", Raw, Raw()) for number in range(len(names))]
    rename = {field[0]: name for field, name in zip(fields, names, strict=True)}
    return msgspec.defstruct("Members", fields, rename=rename, gc=False)


def _text_at(value: Raw, path: _Path) -> str:
    """Return the text at the end of a path; "" where there is none that can be indexed."""
    try:
        for token in path:
            value = _member(value, token)
        return usable(_decode_text(value))
    except (*INVALID, LookupError):
        return ""


def _member(value: Raw, token: str) -> Raw:
    """Return what a token of a pointer names: a member of an object, an item of an array. Raises LookupError."""
    if not bytes(value).startswith(b"["):
        return _decode_object(value)[token]
    return _decode_array(value)[_index(token)]


def _text_in(value: Any, path: _Path) -> str:  # noqa: ANN401 any JSON
    if not path:
        return ""
    try:
        for token in path:
            value = value[_index(token)] if isinstance(value, list) else value[token]
    except (LookupError, TypeError):
        return ""
    return usable(value)


def _index(token: str) -> int:
    """Return the index that a token names. Raises LookupError where it names none (RFC 6901, 4)."""
    if not (token.isascii() and token.isdecimal()) or (len(token) > 1 and token.startswith("0")):
        raise LookupError(token)
    return int(token)
