"""Ids: a typed prefix and a UUIDv7 (RFC 9562, section 5.7) in hex, so that they sort by the time they were made.

``evt_0191b0a2c4d87f3e8a1b…``: at most 64 characters of ``A-Za-z0-9_-``, never a dot (the signature joins with dots).
"""

import re
from typing import Final

import uuid_utils

ORGANIZATION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _new(prefix: str) -> str:
    return prefix + uuid_utils.uuid7().hex


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


def delivery_id() -> str:
    """A new delivery's id."""
    return _new("dlv_")


def request_id() -> str:
    """A new id for one HTTP request to our API, returned as ``x-request-id``."""
    return _new("req_")


def audit_id() -> str:
    """A new id for one entry of the audit trail."""
    return _new("aud_")
