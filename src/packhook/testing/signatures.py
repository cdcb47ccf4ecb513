"""Verify a Standard Webhooks 1.0.0 signature, independently of the code that signs."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping


def is_signed(secrets: Iterable[str], headers: Mapping[str, str], body: bytes) -> bool:
    """Return True if any ``v1`` token of ``webhook-signature`` was made with one of the secrets, whatever its time."""
    signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    tokens = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(_token(secret, signed), token) for secret in secrets for token in tokens)


def _token(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
