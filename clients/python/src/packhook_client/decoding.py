"""Read JSON into values: frozen dataclasses whose fields say what a response has.

A member that no field names is ignored, so a newer node does not break an older client. A field with a default may be
absent. Times become aware ``datetime`` objects, lists become tuples.
"""

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from packhook_client.errors import UnexpectedResponse

T = TypeVar("T")
Decoder = Callable[[Any, str], Any]
"""Take a JSON value and its JSON Pointer."""

LONGEST_INTEGER: Final = 4_000
"""Digits. Python refuses to convert longer ones, so they stay text."""


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 any JSON
    """Return a JSON value. Raise ValueError, also for one that is nested too deeply."""
    try:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= LONGEST_INTEGER else digits)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decode(kind: type[T], value: Any) -> T:  # noqa: ANN401 any JSON
    """Return a JSON value as this kind of value. Raise UnexpectedResponse if it is something else."""
    found: T = decoder_of(kind)(value, "")  # type: ignore[arg-type] # a class is hashable
    return found


@cache
def decoder_of(kind: Any) -> Decoder:  # noqa: ANN401 a type
    """Return what reads values of a type; the types are those that fields of values have."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value, _: value
    if origin in (Union, UnionType):
        return _optional([decoder_of(one) for one in arguments if one is not NoneType])
    if origin is tuple and arguments[-1] is Ellipsis:
        return _list(decoder_of(arguments[0]))
    if origin is tuple:
        return _row([decoder_of(one) for one in arguments])
    if origin is dict:
        return _mapping(decoder_of(arguments[1]))
    if is_dataclass(kind):
        return _object(kind)
    return _SIMPLE[kind]


@dataclass(frozen=True, slots=True)
class _Field:
    """Say how a field is read: its name in JSON, and whether a member must be there."""

    name: str
    member: str
    is_required: bool
    decode: Decoder


def _object(kind: Any) -> Decoder:  # noqa: ANN401 a dataclass
    hints = get_type_hints(kind)
    members = [
        _Field(
            one.name,
            one.metadata.get("member", one.name),
            one.default is MISSING and one.default_factory is MISSING,
            decoder_of(hints[one.name]),
        )
        for one in fields(kind)
    ]

    def decode_object(value: Any, pointer: str) -> Any:  # noqa: ANN401 any JSON
        if not isinstance(value, dict):
            raise _mismatch(pointer, "an object")
        found = {}
        for one in members:
            if one.member in value:
                found[one.name] = one.decode(value[one.member], f"{pointer}/{one.member}")
            elif one.is_required:
                raise _mismatch(f"{pointer}/{one.member}", "this member")
        return kind(**found)

    return decode_object


def _optional(decoders: list[Decoder]) -> Decoder:
    """Return what reads null, or one of several kinds: of more than one, any value is taken as it is."""
    decode_some: Decoder = decoders[0] if len(decoders) == 1 else lambda value, _: value
    return lambda value, pointer: None if value is None else decode_some(value, pointer)


def _list(decode_one: Decoder) -> Decoder:
    def decode_list(value: Any, pointer: str) -> tuple[Any, ...]:  # noqa: ANN401 any JSON
        if not isinstance(value, list):
            raise _mismatch(pointer, "an array")
        return tuple(decode_one(one, f"{pointer}/{number}") for number, one in enumerate(value))

    return decode_list


def _row(decoders: list[Decoder]) -> Decoder:
    def decode_row(value: Any, pointer: str) -> tuple[Any, ...]:  # noqa: ANN401 any JSON
        if not isinstance(value, list) or len(value) != len(decoders):
            raise _mismatch(pointer, f"an array of {len(decoders)}")
        pairs = zip(decoders, value, strict=True)
        return tuple(one(item, f"{pointer}/{number}") for number, (one, item) in enumerate(pairs))

    return decode_row


def _mapping(decode_one: Decoder) -> Decoder:
    def decode_mapping(value: Any, pointer: str) -> dict[str, Any]:  # noqa: ANN401 any JSON
        if not isinstance(value, dict):
            raise _mismatch(pointer, "an object")
        return {name: decode_one(one, f"{pointer}/{name}") for name, one in value.items()}

    return decode_mapping


def _is(kinds: type | tuple[type, ...], words: str) -> Decoder:
    def decode_simple(value: Any, pointer: str) -> Any:  # noqa: ANN401 any JSON
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise _mismatch(pointer, words)
        return value

    return decode_simple


def _number(value: Any, pointer: str) -> float:  # noqa: ANN401 any JSON
    return float(_is((int, float), "a number")(value, pointer))


def _time(value: Any, pointer: str) -> datetime:  # noqa: ANN401 any JSON
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _mismatch(pointer, "a time") from None


_SIMPLE: Final[dict[Any, Decoder]] = {
    str: _is(str, "a text"),
    int: _is(int, "an integer"),
    bool: _is(bool, "true or false"),
    float: _number,
    datetime: _time,
}


def _mismatch(pointer: str, words: str) -> UnexpectedResponse:
    """Return the error of a response that has something else at a place."""
    return UnexpectedResponse(f"the response has no {words.partition(' ')[2]} at {pointer or '/'}: is it packhook?")
