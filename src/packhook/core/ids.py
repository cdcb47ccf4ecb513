"""Ids: a typed prefix and a UUIDv7 (RFC 9562, section 5.7) in hex, so that they sort by the time they were made.

``evt_0191b0a2c4d87f3e8a1b…``: at most 64 characters of ``A-Za-z0-9_-``, never a dot (the signature joins with dots).
"""

import random
import re
from typing import Final

import uuid_utils

_LAST: Final = 2**48 - 1
_uuid7: Final = uuid_utils.uuid7
ORGANIZATION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _new(prefix: str) -> str:
    return prefix + _uuid7().hex


def organization_id() -> str:
    """A new organization's id."""
    return _new("org_")


def api_key_id() -> str:
    """A new API key's id (not the key itself)."""
    return _new("key_")


def webhook_id() -> str:
    """A new webhook's id."""
    return _new("wh_")


def event_id() -> str:
    """A new event's id: the receiver's ``webhook-id``, the same over retries and replays."""
    return _new("evt_")


def delivery_id(at: int) -> str:
    """A new delivery's id, of this instant: its event's. Those of one instant sort as they were made, in one process.

    The instant is given, not taken, so that a time asked for is a place among the ids however clocks were set.
    """
    return _counter.next(at)


def delivery_id_lower_bound(at: int) -> str:
    """Return where the ids of deliveries of this instant begin: not an id, but it sorts among them."""
    return f"dlv_{min(max(at, 0), _LAST):012x}"


class _Counter:
    """Counts within an instant from a number of chance on: 42 bits (RFC 9562, section 6.2, method 1).

    Behind them are 32 of chance. What stays as it was is not written anew: all but the last 28 bits of the count.
    """

    __slots__ = ("_at", "_begin", "_count", "_high")

    def __init__(self) -> None:
        self._at = -1
        self._count = 0
        self._high = -1
        self._begin = ""

    def next(self, at: int) -> str:
        if at != self._at:
            self._at = at
            self._count = random.getrandbits(41)  # the highest bit is room to count; it need not be a secret
            self._high = -1
        self._count += 1
        high = self._count >> 28
        if high != self._high:
            self._high = high
            self._begin = f"dlv_{at:012x}7{high >> 2:03x}{0b1000 | high & 0b11:x}"
        return self._begin + "%015x" % ((self._count & 0xFFF_FFFF) << 32 | random.getrandbits(32))


_counter: Final = _Counter()


def request_id() -> str:
    """A new id for one HTTP request to our API, returned as ``x-request-id``."""
    return _new("req_")


def audit_id() -> str:
    """A new id for one entry of the audit trail."""
    return _new("aud_")
