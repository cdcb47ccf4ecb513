"""Requests that are repeated: find the response to the first one, and seal the response to a new one.

::

    key of the caller ─┬─ HMAC of route and body ─▶ fingerprint: whether it is the same request
                       └─ HKDF, a salt of its own ─▶ AES-256-GCM: the stored response

Only the SHA-256 of an API key is stored. So a stored response, with secrets that are shown once, can be read only by a
caller that makes the same request with the same API key again.
"""

import hmac
import os
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from packhook.core.clock import DAY, Clock
from packhook.core.errors import Conflict
from packhook.core.idempotency import CONFLICT, StoredResponse
from packhook.store.base import Store

_SALT_BYTES: Final = 16
_INFO: Final = b"packhook: the response to a request with an Idempotency-Key"
_NONCE: Final = bytes(12)
"""One for all: each response has a key of its own, by its salt."""


class RepeatableRequest:
    """Answer a request with an ``Idempotency-Key`` of an organization ("": the instance) once.

    ``secret`` is the API key that it came with.
    """

    def __init__(self, store: Store, clock: Clock, organization_id: str, key: str, secret: str) -> None:
        self._store = store
        self._clock = clock
        self._organization_id = organization_id
        self._key = key
        self._secret = secret.encode("utf-8", "surrogatepass")
        self._fingerprint = b""

    async def find(self, target: bytes, body: bytes) -> bytes | None:
        """Return the response to the first request with this key; None: this is the first. ``body`` is canonical.

        Raises Conflict where the first one had another target, body or API key; RateLimited, Unavailable.
        """
        self._fingerprint = hmac.digest(self._secret, target + b"\0" + sha256(body).digest(), "sha256")
        return await self.find_again()

    async def find_again(self) -> bytes | None:
        """Return what :meth:`find` returns now that another request was first."""
        stale_before = self._clock.now() - DAY
        found = await self._store.responses.find(self._organization_id, self._key, self._fingerprint, stale_before)
        return None if found is None else self._unsealed(found)

    def stored(self, response: bytes) -> StoredResponse:
        """Return what is stored of a response to this request."""
        salt = os.urandom(_SALT_BYTES)
        return StoredResponse(
            organization_id=self._organization_id,
            key=self._key,
            fingerprint=self._fingerprint,
            stale_before=self._clock.now() - DAY,
            content=salt + self._cipher(salt).encrypt(_NONCE, response, self._fingerprint),
        )

    def _unsealed(self, content: bytes) -> bytes:
        salt, sealed = content[:_SALT_BYTES], content[_SALT_BYTES:]
        try:
            return self._cipher(salt).decrypt(_NONCE, sealed, self._fingerprint)
        except InvalidTag:
            raise Conflict(CONFLICT) from None

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, salt, _INFO).derive(self._secret))
