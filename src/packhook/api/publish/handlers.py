"""The publish handlers: decode the events of a body, publish them, encode the receipts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from packhook.api.publish.decoder import RawEvent, decode_batch, decode_event
from packhook.api.responses import encode
from packhook.core.clock import to_rfc3339
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.model import MAX_DATA_BYTES, Receipt
from packhook.service import rules
from packhook.service.service import Service
from packhook.settings import Settings

MAX_ENVELOPE_BYTES: Final = 4096

Receipts = tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class PublishHandler:
    """Handle one publish route. ``name`` and ``summary`` describe it in the OpenAPI document."""

    name: str
    summary: str
    max_body_bytes: Callable[[Settings], int]
    decode: Callable[[bytes], list[RawEvent]]
    view: Callable[[Receipts], object]

    async def publish(self, service: Service, organization_id: str, idempotency_key: str | None, body: bytes) -> bytes:
        """Publish the events of ``body``, all or none; return the receipts as JSON once they are durable.

        Raises what the decoder and ``Publisher.publish`` raise, and InvalidInput for a bad idempotency key.
        """
        events = self.decode(body)
        key = None if idempotency_key is None else _checked(idempotency_key)
        fingerprint = b"" if key is None else hashlib.sha256(self.name.encode() + b"\0" + body).digest()
        receipts = await service.publisher.publish(organization_id, events, key, fingerprint)
        return encode(self.view(receipts))


def _checked(idempotency_key: str) -> str:
    """Return the key without the white space around it, which is not part of a header's value (RFC 9110, 5.5)."""
    try:
        return rules.idempotency_key(idempotency_key.strip(" \t"))
    except ValueError as error:
        raise InvalidInput([FieldError("Idempotency-Key", "invalid", str(error))]) from None


def _receipt(receipt: Receipt) -> dict[str, str | int]:
    return {
        "id": receipt.id,
        "event_code": receipt.event_code,
        "created_at": to_rfc3339(receipt.created_at),
        "deliveries": receipt.deliveries,
    }


publish_event: Final = PublishHandler(
    name="publish_event",
    summary="Publish an event: 202 once it is durable.",
    max_body_bytes=lambda _: MAX_DATA_BYTES + MAX_ENVELOPE_BYTES,
    decode=lambda body: [decode_event(body)],
    view=lambda receipts: _receipt(receipts[0]),
)
publish_batch: Final = PublishHandler(
    name="publish_batch",
    summary="Publish up to 1000 events, all or nothing.",
    max_body_bytes=lambda settings: settings.max_request_bytes,
    decode=decode_batch,
    view=lambda receipts: {"data": [_receipt(receipt) for receipt in receipts]},
)
