"""Build the message that a receiver gets of an event: the bytes that are signed and sent, and that the feed shows."""

from packhook.core.clock import to_rfc3339


def message(event_id: str, event_code: str, created_at: int, organization_id: str, data: bytes) -> bytes:
    """Return the same JSON at every attempt, with ``data`` byte for byte as published.

    Ids and event codes contain nothing that JSON would escape.
    """
    envelope = (
        f'{{"id":"{event_id}","type":"{event_code}",'
        f'"timestamp":"{to_rfc3339(created_at)}","organization_id":"{organization_id}","data":'
    )
    return b"".join((envelope.encode(), data, b"}"))
