"""Idempotency keys: when two bodies mean the same, and what is stored of the response to a change.

::

    request with a key ─▶ fingerprint ─┬─ found, the same    ─▶ its response again, marked
                                       ├─ found, another one ─▶ Conflict
                                       └─ new ─▶ the change and its StoredResponse, in one transaction
"""

from collections.abc import Callable
from math import isfinite
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")

MAX_STORED_RESPONSES: Final = 10_000
"""How many responses to changes an organization may have stored at once; the instance may have as many for itself."""

CONFLICT: Final = "this Idempotency-Key came with another body before"
FULL: Final = f"{MAX_STORED_RESPONSES} requests with an Idempotency-Key have changed something within 24 hours"

_MAX_EXACT: Final = 2**53


class StoredResponse(Struct, frozen=True, kw_only=True):
    """Hold the response to a change, and the ``Idempotency-Key`` that returns it again; see :class:`Idempotency`.

    ``content`` is sealed: only who has the API key of the request can read it. ``organization_id`` is "" for a
    change of the instance.
    """

    organization_id: str
    key: str
    fingerprint: bytes
    stale_before: int
    content: bytes


class AlreadyAnswered(Exception):
    """Signal that another request with the same key was first; the transaction that raises it changes nothing."""


Remember = Callable[[T], StoredResponse]
"""Return what is stored of the response to a change, from what the change makes."""


def _number(text: str) -> object:
    """Return a number that is not written as an integer; one that is whole is the same as the integer."""
    value = float(text)
    if not isfinite(value):
        return Raw(text.encode())
    return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value


_decode: Final = msgspec.json.Decoder(float_hook=_number).decode
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def canonical(text: bytes | Raw) -> bytes:
    """Return JSON in one of the forms that mean the same: no white space, members sorted, numbers as doubles.

    Raises msgspec.MsgspecError or UnicodeDecodeError for what is not JSON, RecursionError for what is nested too deep.
    """
    return _encode(_decode(text))


def meaning_of(data: bytes) -> bytes:
    """Return data in the form that all have that mean the same; what is nested too deep means its bytes."""
    try:
        return canonical(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return data
