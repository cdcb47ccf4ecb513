"""Make ids: a typed prefix and a UUIDv7 (RFC 9562, section 5.7) in hex, so that ids sort by time.

``evt_0191b0a2c4d87f3e8a1b…``: at most 64 characters of ``A-Za-z0-9_-``, never a dot (the signature joins with dots).
"""

import random
import re
from typing import Final

import uuid_utils

_MAX_TIME: Final = 2**48 - 1
_uuid7: Final = uuid_utils.uuid7
ORGANIZATION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _new(prefix: str) -> str:
    return prefix + _uuid7().hex


def organization_id() -> str:
    """Return an id for a new organization."""
    return _new("org_")


def api_key_id() -> str:
    """Return an id for a new API key (not the key itself)."""
    return _new("key_")


def webhook_id() -> str:
    """Return an id for a new webhook."""
    return _new("wh_")


def event_id() -> str:
    """Return an id for a new event: the receiver's ``webhook-id``, the same in retries and replays."""
    return _new("evt_")


def event_id_lower_bound(at: int) -> str:
    """Return a text that sorts before the ids of all events from this instant on, and after all earlier ones."""
    return f"evt_{min(max(at, 0), _MAX_TIME):012x}"


def delivery_id(at: int) -> str:
    """Return an id for a new delivery of an event that was created at this instant.

    Ids of one instant sort in the order in which one process made them. The instant is the event's and not the clock's,
    so that a query by the event's time is a range of ids even if clocks differ.
    """
    return _counter.next(at)


def delivery_id_lower_bound(at: int) -> str:
    """Return a text that sorts before the ids of all deliveries from this instant on, and after all earlier ones."""
    return f"dlv_{min(max(at, 0), _MAX_TIME):012x}"


class _Counter:
    """Count the ids of one instant from a random number on: 42 bits (RFC 9562, section 6.2, method 1).

    32 random bits follow. The text before the last 28 bits of the count is kept until it changes.
    """

    __slots__ = ("_at", "_count", "_high", "_prefix")

    def __init__(self) -> None:
        self._at = -1
        self._count = 0
        self._high = -1
        self._prefix = ""

    def next(self, at: int) -> str:
        if at != self._at:
            self._at = at
            self._count = random.getrandbits(41)  # the highest bit is free for counting; not a secret
            self._high = -1
        self._count += 1
        high = self._count >> 28
        if high != self._high:
            self._high = high
            self._prefix = f"dlv_{at:012x}7{high >> 2:03x}{0b1000 | high & 0b11:x}"
        return self._prefix + "%015x" % ((self._count & 0xFFF_FFFF) << 32 | random.getrandbits(32))


_counter: Final = _Counter()


def replay_id() -> str:
    """Return an id for a new replay."""
    return _new("rpl_")


def portal_session_id() -> str:
    """Return an id for a new portal session (not its link or cookie)."""
    return _new("pts_")


def operator_session_id() -> str:
    """Return an id for a new session of the dashboard (not its cookie)."""
    return _new("ops_")


def request_id() -> str:
    """Return an id for an HTTP request to our API, sent back as ``x-request-id``."""
    return _new("req_")


def audit_id() -> str:
    """Return an id for a new entry of the audit trail."""
    return _new("aud_")
