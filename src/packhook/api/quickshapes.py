"""What is published, as the quick decoder reads it: each ``data`` as the very bytes that came."""

from msgspec import Raw, Struct


class QuickEvent(Struct, forbid_unknown_fields=True):
    """An event to publish."""

    event_code: str
    data: Raw


class QuickBatch(Struct, forbid_unknown_fields=True):
    """Several of them."""

    events: list[QuickEvent]
