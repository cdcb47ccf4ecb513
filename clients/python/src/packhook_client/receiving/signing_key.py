"""Turn secrets into HMAC keys: ``whsec_`` and base64, or any other text, whose UTF-8 bytes are the key."""

import base64
import binascii
import hmac
from typing import Final

PREFIX: Final = "whsec_"
_MIN_BYTES: Final = 8


class InvalidSecret(ValueError):
    """Report that a secret cannot be one. The message never shows it."""


class SigningKey:
    """Hold the bytes of an HMAC key, and make tokens with them."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key: Final = key

    @classmethod
    def of(cls, secret: str) -> "SigningKey":
        """Return the key of a secret. InvalidSecret if it is empty, has white space around it, or is not base64."""
        if problem := _problem(secret):
            raise InvalidSecret(f"the secret is not valid: {problem}")
        return cls(decode_base64(secret.removeprefix(PREFIX)) if secret.startswith(PREFIX) else secret.encode())

    def token(self, message: bytes) -> bytes:
        """Return the token of a message: ``v1,`` and the base64 of its HMAC-SHA256."""
        return b"v1," + base64.b64encode(hmac.digest(self._key, message, "sha256"))


def decode_base64(text: str) -> bytes:
    """Return the decoded bytes; without padding it is accepted. ValueError if it is not base64."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _problem(secret: str) -> str | None:
    """Return why a text cannot be a secret; None if it can."""
    if not secret:
        return "it is empty; is the environment variable or the setting present?"
    if secret != secret.strip():
        return "it begins or ends with white space; was it read from a file with its line break?"
    if not secret.startswith(PREFIX):
        size = len(secret.encode("utf-8", "surrogatepass"))
        return None if size >= _MIN_BYTES else f"expected at least {_MIN_BYTES} characters, got {size}"
    try:
        size = len(decode_base64(secret.removeprefix(PREFIX)))
    except (binascii.Error, ValueError):
        return f"expected base64 after {PREFIX}"
    return None if size >= _MIN_BYTES else f"expected at least {_MIN_BYTES} bytes after {PREFIX}, got {size}"
