"""Describe what a verified request says."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Hold one event as it was delivered; everything but ``attempt`` is covered by the signature.

    ``id``: the event's id, the same at each attempt: handle each id once.
    ``event_code``: such as ``order.created``. ``data``: what was published. ``organization_id``: who published it.
    ``time``: when the event was published. ``sent_at``: when this attempt was signed. Both are in UTC.
    ``attempt``: the number of this attempt, from 1. ``body``: the bytes as they arrived.

    Where another sender's body does not say it, ``event_code`` and ``organization_id`` are "", ``data`` is {}, and
    ``time`` is ``sent_at``.
    """

    id: str
    event_code: str
    data: dict[str, Any]
    organization_id: str
    time: datetime
    sent_at: datetime
    attempt: int
    body: bytes = field(repr=False)


def read_delivery(message_id: str, sent_at: int, attempt: str, body: bytes) -> Delivery:
    """Read a verified body. ``sent_at`` is in Unix seconds."""
    envelope = parse_object(body) or {}
    data = envelope.get("data")
    moment = datetime.fromtimestamp(sent_at, UTC)
    return Delivery(
        id=message_id,
        event_code=_text(envelope.get("type")),
        data=data if isinstance(data, dict) else {},
        organization_id=_text(envelope.get("organization_id")),
        time=_time(_text(envelope.get("timestamp"))) or moment,
        sent_at=moment,
        attempt=int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 10 else 1,
        body=body,
    )


def parse_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body; None if there is none."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
