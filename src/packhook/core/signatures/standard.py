"""Build, sign and verify messages by Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``.

The signature is base64 after ``v1,``; the body is the message that a receiver gets, and that the feed shows.

Several live secrets give several tokens, separated by one space; a receiver accepts if any token is right. A secret
that begins with ``whsec_`` is base64 after the prefix; any other secret is its UTF-8 bytes.
"""

import base64
import binascii
import hmac
import secrets as entropy
from collections.abc import Mapping, Sequence
from typing import Final

from packhook.core.clock import to_rfc3339

PREFIX: Final = "whsec_"
MIN_LENGTH, MAX_LENGTH = 8, 255
MIN_BYTES, MAX_BYTES = 24, 64
TOLERANCE_SECONDS: Final = 300


class InvalidSignature(Exception):
    """Report that a signature does not prove that the sender signed this message recently."""


def secret_problem(secret: str) -> str | None:
    """Return why a secret is not accepted; None if it is."""
    if not MIN_LENGTH <= len(secret) <= MAX_LENGTH:
        return f"expected {MIN_LENGTH} to {MAX_LENGTH} characters, got {len(secret)}"
    if not all("!" <= character <= "~" for character in secret):
        return "expected printable ASCII characters without spaces"
    if secret.startswith(PREFIX):
        return _encoded_problem(secret.removeprefix(PREFIX))
    return None


def _encoded_problem(encoded: str) -> str | None:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return f"expected base64 after {PREFIX}"
    if base64.b64encode(decoded).decode() != encoded:  # padding or bits that other decoders refuse
        return f"expected base64 after {PREFIX}"
    size = len(decoded)
    if not MIN_BYTES <= size <= MAX_BYTES:
        return f"expected {MIN_BYTES} to {MAX_BYTES} bytes of base64 after {PREFIX}, got {size}"
    return None


def new_secret() -> str:
    """Return a new secret: ``whsec_`` and 32 random bytes."""
    return PREFIX + base64.b64encode(entropy.token_bytes(32)).decode()


def mask(secret: str) -> str:
    """Return the first four characters of a secret and six stars, whatever its length."""
    return f"{secret[:4]}******"


class SigningKey:
    """Hold the key bytes of an accepted secret, and sign with them."""

    __slots__ = ("_key",)

    def __init__(self, secret: str) -> None:
        self._key: Final = _key_bytes(secret)

    def token(self, message: bytes) -> str:
        """Return the signature token of a message: ``v1,`` and the base64 of its HMAC-SHA256."""
        return "v1," + base64.b64encode(hmac.digest(self._key, message, "sha256")).decode()


def _key_bytes(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def message(event_id: str, event_code: str, created_at: int, organization_id: str, data: bytes) -> bytes:
    """Return the body for an event: the same JSON at every attempt, with ``data`` byte for byte as published.

    Ids and event codes contain nothing that JSON would escape.
    """
    envelope = (
        f'{{"id":"{event_id}","type":"{event_code}",'
        f'"timestamp":"{to_rfc3339(created_at)}","organization_id":"{organization_id}","data":'
    )
    return b"".join((envelope.encode(), data, b"}"))


def sign(keys: Sequence[SigningKey], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` header: one token for each key, in order. ``timestamp`` is in Unix seconds."""
    signed = b"%b.%d.%b" % (message_id.encode("utf-8", "surrogatepass"), timestamp, body)
    return " ".join([key.token(signed) for key in keys])


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: int,
    tolerance: int = TOLERANCE_SECONDS,
) -> None:
    """Verify a message as its receiver should. InvalidSignature if it fails; ``now`` and ``tolerance`` in seconds."""
    lower = {name.lower(): value for name, value in headers.items()}
    message_id = _required(lower, "webhook-id")
    timestamp = _timestamp(_required(lower, "webhook-timestamp"))
    tokens = _required(lower, "webhook-signature").split(" ")
    if abs(now - timestamp) > tolerance:
        raise InvalidSignature(
            f"webhook-timestamp is {abs(now - timestamp)} s from now, at most {tolerance} s are allowed"
        )
    expected = sign([SigningKey(secret) for secret in secrets], message_id, timestamp, body).split(" ")
    matches = [
        hmac.compare_digest(valid.encode(), token.encode("utf-8", "surrogatepass"))
        for valid in expected
        for token in tokens
    ]
    if not any(matches):
        raise InvalidSignature("no token in webhook-signature was made with a known secret over this id, time and body")


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise InvalidSignature(f"the header {name} is missing")
    return value


def _timestamp(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidSignature("webhook-timestamp is not a number of seconds")
    return int(text)
