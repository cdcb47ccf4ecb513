"""Sign messages as packhook does."""

import json
import time
from typing import Final, NamedTuple

from packhook.core import ids
from packhook.core.signatures.standard import SigningKey, sign

PLAIN: Final = "q9NhjkjV9o"
ENCODED: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ORGANIZATION: Final = "acme"
DATA: Final = '{"id": "ord_1", "reference": "A-1",  "note": "Zürich, 東京 🚚"}'


class Message(NamedTuple):
    """Hold a signed request as a receiver gets it."""

    headers: dict[str, str]
    body: bytes


def signed(
    *secrets: str, at: int | None = None, event_id: str | None = None, data: str = DATA, code: str = "order.created"
) -> Message:
    """Sign packhook's body of an event now, or at a time in Unix seconds, with a token for each secret."""
    message_id, timestamp = event_id or ids.event_id(), int(time.time()) if at is None else at
    names = {
        "id": message_id,
        "type": code,
        "timestamp": "2026-11-30T08:56:34.482Z",
        "organization_id": ORGANIZATION,
    }
    body = f'{json.dumps(names, separators=(",", ":"))[:-1]},"data":{data}}}'.encode()
    return Message(headers_of(*secrets, message_id=message_id, at=timestamp, body=body), body)


def headers_of(*secrets: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that packhook sends with a body."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign([SigningKey(secret) for secret in secrets], message_id, at, body),
        "webhook-event": "order.created",
        "webhook-attempt": "1",
    }
