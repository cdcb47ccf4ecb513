"""Encrypt texts under a master key, so that a reader of the database learns no secret.

An encrypted text is ``§v1.KEYID.BASE64``: the id of the master key, then a nonce and the AES-256-GCM ciphertext. The
prefix is not ASCII, so no secret and no header value that the API accepts begins like it. The record and the field that
a text belongs to are authenticated with it: moved to another row or column it does not decrypt.
"""

import binascii
import os
from collections.abc import Collection, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from packhook.core.errors import Unavailable
from packhook.settings import MasterKey

PREFIX: Final = "§v1."
NONCE_BYTES: Final = 12


def encrypted_under(text: str) -> str | None:
    """Return the id of the master key that a text is encrypted under; None where it is not encrypted."""
    return text.split(".", 2)[1] if text.startswith(PREFIX) else None


class Cipher:
    """Encrypt under the newest master key, decrypt under any of them. It never shows its keys."""

    __slots__ = ("_keys", "newest")

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        """Take at least one key, the newest first."""
        self.newest = keys[0][0]
        self._keys = {key_id: AESGCM(key) for key_id, key in keys}

    def missing(self, key_ids: Collection[str]) -> list[str]:
        """Return which of these keys it does not have, sorted."""
        return sorted(key_id for key_id in key_ids if key_id not in self._keys)

    def encrypt(self, text: str, record: str, field: str) -> str:
        """Return the text encrypted for this field of this record; never the same twice."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = nonce + self._keys[self.newest].encrypt(nonce, text.encode(), _associated_data(record, field))
        return f"{PREFIX}{self.newest}.{binascii.b2a_base64(ciphertext, newline=False).decode()}"

    def decrypt(self, text: str, record: str, field: str) -> str:
        """Return the text that was encrypted; one that is not encrypted is returned as it is.

        Raises Unavailable where the master key is missing, or the text was not encrypted for this record and field.
        """
        key_id = encrypted_under(text)
        if key_id is None:
            return text
        key = self._keys.get(key_id)
        if key is None:
            raise Unavailable(f"{field} of {record} is encrypted under the master key {key_id!r}, which is not here")
        try:
            ciphertext = binascii.a2b_base64(text[len(PREFIX) + len(key_id) + 1 :], strict_mode=True)
            associated_data = _associated_data(record, field)
            return key.decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], associated_data).decode()
        except (InvalidTag, ValueError):
            raise Unavailable(
                f"{field} of {record} does not decrypt under the master key {key_id!r}: it was changed or moved in the "
                "database, or another key has this id"
            ) from None


def _associated_data(record: str, field: str) -> bytes:
    return f"packhook\0{record}\0{field}".encode()
