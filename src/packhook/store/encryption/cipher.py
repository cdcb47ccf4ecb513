"""Sealing: texts that only a master key opens, so that whoever reads the database learns no secret from it.

A sealed text is ``§v1.KEYID.BASE64``: the id of the master key, then a nonce and what AES-256-GCM made of the text. The
mark is not ASCII, so no secret and no header value that the API accepts begins like that. Where the text belongs, the
record and the field, is authenticated with it: moved to another row or column it does not open.
"""

import binascii
import os
from collections.abc import Collection, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from packhook.core.errors import Unavailable
from packhook.settings import MasterKey

MARK: Final = "§v1."
NONCE_BYTES: Final = 12


def sealed_under(text: str) -> str | None:
    """The id of the master key that a text is sealed under; None where it is not sealed."""
    return text.split(".", 2)[1] if text.startswith(MARK) else None


class Vault:
    """Seals under the newest master key, opens under any of them. Holds the keys, and shows them to nobody."""

    __slots__ = ("_ciphers", "newest")

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        """``keys`` are one at least, the newest first."""
        self.newest = keys[0][0]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}

    def missing(self, key_ids: Collection[str]) -> list[str]:
        """Which of these keys it does not have, sorted."""
        return sorted(key_id for key_id in key_ids if key_id not in self._ciphers)

    def seal(self, text: str, record: str, field: str) -> str:
        """The text sealed for this field of this record; never the same twice."""
        nonce = os.urandom(NONCE_BYTES)
        made = nonce + self._ciphers[self.newest].encrypt(nonce, text.encode(), _place(record, field))
        return f"{MARK}{self.newest}.{binascii.b2a_base64(made, newline=False).decode()}"

    def open(self, text: str, record: str, field: str) -> str:
        """What was sealed; a text that is not sealed comes back as it is.

        Unavailable where the master key is not here, or the text is not what was sealed for this place.
        """
        key_id = sealed_under(text)
        if key_id is None:
            return text
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise Unavailable(f"{field} of {record} is sealed under the master key {key_id!r}, which is not here")
        try:
            made = binascii.a2b_base64(text[len(MARK) + len(key_id) + 1 :], strict_mode=True)
            return cipher.decrypt(made[:NONCE_BYTES], made[NONCE_BYTES:], _place(record, field)).decode()
        except (InvalidTag, ValueError):
            raise Unavailable(
                f"{field} of {record} does not open under the master key {key_id!r}: it was changed or moved in the "
                "database, or another key has this id"
            ) from None


def _place(record: str, field: str) -> bytes:
    return f"packhook\0{record}\0{field}".encode()
