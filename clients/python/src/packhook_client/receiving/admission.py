"""Decide about a request for the adapters of web frameworks: the delivery, or the response that refuses it."""

import logging
from dataclasses import dataclass
from typing import Final

from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.refusals import Refused
from packhook_client.receiving.verification import Headers, Verifier

MAX_BODY_BYTES: Final = 1024 * 1024
"""Four times the data of packhook's largest event."""
ACCEPTED: Final = 204
_log: Final = logging.getLogger("packhook_client.receiving")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Hold the response to a request that is not accepted: status and text."""

    status: int
    reason: str


def too_large(max_body_bytes: int) -> Rejection:
    """Return the response to a body above the limit."""
    return Rejection(413, f"the body has more than {max_body_bytes} bytes")


def admit(verifier: Verifier, headers: Headers, body: bytes, max_body_bytes: int) -> Delivery | Rejection:
    """Verify a request, of which at most ``max_body_bytes`` and one more were read. Log why one is refused."""
    if len(body) > max_body_bytes:
        return too_large(max_body_bytes)
    try:
        return verifier.verify(headers, body)
    except Refused as refused:
        _log.warning("refused a request (%s): %s", refused.code, refused)
        return Rejection(401, refused.public_reason)
