"""Find members that an object has twice, of which each parser takes another (RFC 8259, 4), and say where they are."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from packhook.core.errors import FieldError

_SHORTEST: Final = {b'"data"': len('"data":0,'), b'"events"': len('"events":[],')}


class _Object(list[tuple[str, Any]]):
    """Hold the members of an object in their order."""


def repeated_members(body: bytes) -> list[FieldError]:
    """Return an error for each member that stands twice in its object, anywhere in ``body``; none if it is no JSON."""
    try:
        value = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
        return list(_repeated(value, ""))
    except (ValueError, RecursionError):
        return []


def _repeated(value: object, place: str) -> Iterator[FieldError]:
    if isinstance(value, _Object):
        names = Counter(name for name, _ in value)
        for name, below in value:
            at = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
            if names.pop(name, 0) > 1:
                yield FieldError(at, "repeated_member", "expected this member once")
            yield from _repeated(below, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated(item, f"{place}/{index}")


def repeated_beside(values: Sequence[bytes], body: bytes, least: int, name: bytes) -> list[FieldError]:
    """Return the same for what stands around some values of ``body``, which are not looked into.

    ``least``: the bytes around them without a repeated member and white space. ``name`` is that of the shortest member
    that could be repeated. Costs an addition for a body without white space, and a search for another.
    """
    if len(body) - sum(map(len, values)) < least + _SHORTEST[name]:
        return []
    around = _around(values, body)
    if around.count(name) < 2 and around.count(b'"event_code"') < 2 and b"\\" not in around:
        return []
    return repeated_members(around)


def _around(values: Sequence[bytes], body: bytes) -> bytes:
    """Return ``body`` with null in the place of each value."""
    pieces: list[bytes] = []
    end = 0
    for value in values:
        begin = body.index(value, end)
        pieces += body[end:begin], b"null"
        end = begin + len(value)
    return b"".join((*pieces, body[end:]))
