"""Read from an event's data what it is about: its subject, and the references by which people know it.

Every way in ends here, the API and ``packhook.publish()`` in SQL, so an event always gets the same subject.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from packhook.core.model import Event

MAX_LENGTH: Final = 255
"""The longest text, in characters, that is a subject or a reference; a longer one is none."""


class Pointers(Struct, frozen=True, kw_only=True):
    """Say where in its data an event type has its subject and up to three references, as JSON Pointers (RFC 6901)."""

    subject: str
    references: tuple[str, ...] = ()


class About(Struct, frozen=True):
    """Hold what an event is about. "" is no subject, or no reference at that pointer."""

    subject: str = ""
    reference_1: str = ""
    reference_2: str = ""
    reference_3: str = ""


_ORDER: Final = Pointers(subject="/id", references=("/reference", "/integration_reference"))
_WEBHOOK: Final = Pointers(subject="/webhook_id")

POINTERS: Final[Mapping[str, Pointers]] = {
    "order.canceled": _ORDER,
    "order.created": _ORDER,
    "order.shipped": _ORDER,
    "delivery.exhausted": Pointers(subject="/delivery_id", references=("/webhook_id", "/event_id")),
    "replay.finished": Pointers(subject="/replay_id", references=("/webhook_id",)),
    "webhook.disabled": _WEBHOOK,
    "webhook.failing": _WEBHOOK,
    "webhook.recovered": _WEBHOOK,
}
"""The pointers of each event code."""

NOTHING: Final = About()

_INVALID: Final = (msgspec.DecodeError, RecursionError)
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode

_Path = tuple[str, ...]


def _paths(pointers: Pointers) -> list[_Path]:
    return [_tokens(pointer) for pointer in (pointers.subject, *pointers.references)]


def _tokens(pointer: str) -> _Path:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


_PATHS: Final = {event_code: _paths(pointers) for event_code, pointers in POINTERS.items()}


def about(event_code: str, data: bytes) -> About:
    """Return what an event with this data is about; nothing for an event code without pointers.

    Text alone counts: a number, ``null``, a text of more than 255 characters or with a NUL in it is none.
    """
    paths = _PATHS.get(event_code)
    if paths is None:
        return NOTHING
    try:
        members = _decode_object(data)
    except _INVALID:
        return NOTHING
    return About(*[_text_at(members, path) for path in paths])


def with_subject(event: Event) -> Event:
    """Return the event with the subject and the references that its data has."""
    return msgspec.structs.replace(event, **msgspec.structs.asdict(about(event.event_code, event.data)))


def _text_at(members: dict[str, Raw], path: _Path) -> str:
    """Return the text at the end of a path; "" where there is none that can be indexed."""
    try:
        value = members[path[0]]
        for token in path[1:]:
            value = _member(value, token)
        text = _decode_text(value)
    except (*_INVALID, LookupError):
        return ""
    return text if len(text) <= MAX_LENGTH and "\0" not in text else ""


def _member(value: Raw, token: str) -> Raw:
    """Return what a token of a pointer names: a member of an object, an item of an array. Raises LookupError."""
    if not bytes(value).startswith(b"["):
        return _decode_object(value)[token]
    if not (token.isascii() and token.isdecimal()):
        raise LookupError(token)
    return _decode_array(value)[int(token)]
