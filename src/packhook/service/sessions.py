"""Sessions of the dashboard: a sealed value that the browser keeps. Nothing is stored, so every node knows them all.

::

    sign in ─ operator key ─▶ BrowserSession ─ seal ─▶ cookie ─ unseal ─▶ the same, or None: sign in again
                                        └─ master key, hash of the operator key, expiry

A node may make one link that signs in once (:class:`SignInLink`).

A value is encrypted and authenticated under the newest master key, together with the hash of the operator key. So it
ends when it expires, when the operator key changes, and when its master key is taken away.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

import msgspec
from msgspec import Struct

from packhook.core.clock import HOUR, MINUTE, Clock
from packhook.core.errors import Unavailable
from packhook.service.authentication import Access, hash_of
from packhook.store.encryption.cipher import Cipher
from packhook.store.encryption.keyring import new_key
from packhook.store.encryption.store import EncryptedStore

LASTS: Final = 12 * HOUR
LINK_LASTS: Final = 10 * MINUTE
MAX_COOKIE_LENGTH: Final = 1_024
_RECORD: Final = "session"


class BrowserSession(Struct, frozen=True, kw_only=True):
    """Identify a browser until ``expires_at``. ``is_operator``: it has shown the operator key."""

    id: str
    expires_at: int
    is_operator: bool

    @property
    def form_token(self) -> str:
        """Return the token that each form of this session carries; who sees it does not learn the session's id."""
        return base64.urlsafe_b64encode(hashlib.sha256(f"form\0{self.id}".encode()).digest()).decode().rstrip("=")


class Sessions:
    """Begin and recognize sessions. Without an encrypting store they last as long as the process."""

    def __init__(self, encrypted: EncryptedStore | None, access: Access, clock: Clock) -> None:
        self._encrypted = encrypted
        self._own_cipher = Cipher([new_key()])
        self._access = access
        self._clock = clock

    def begin(self, *, is_operator: bool) -> BrowserSession:
        """Return a new session; one without the operator key protects the form to sign in."""
        return BrowserSession(
            id=secrets.token_urlsafe(24), expires_at=self._clock.now() + LASTS, is_operator=is_operator
        )

    def seal(self, session: BrowserSession) -> str:
        """Return the session as a cookie's value."""
        text = msgspec.json.encode(session).decode()
        sealed = self._cipher().encrypt(text, _RECORD, self._access.operator_key_hash)
        return base64.urlsafe_b64encode(sealed.encode()).decode().rstrip("=")

    def unseal(self, cookie: str) -> BrowserSession | None:
        """Return the session of a cookie's value; None if it is not valid any more, or never was."""
        if not cookie or len(cookie) > MAX_COOKIE_LENGTH:
            return None
        try:
            sealed = base64.urlsafe_b64decode(cookie.encode("ascii") + b"==").decode()
            text = self._cipher().decrypt(sealed, _RECORD, self._access.operator_key_hash)
            session = msgspec.json.decode(text, type=BrowserSession)
        except (Unavailable, UnicodeError, binascii.Error, ValueError):
            return None
        is_sealed = sealed != text  # a text that is not encrypted comes back as it is
        return session if is_sealed and session.expires_at > self._clock.now() else None

    def _cipher(self) -> Cipher:
        return self._own_cipher if self._encrypted is None else self._encrypted.current_cipher()


class SignInLink:
    """Keep a link that signs in once, in the memory of this node: only the hash of its token, and until when it lasts.

    A new link replaces the one before.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hash = b""
        self._expires_at = 0

    def create(self) -> str:
        """Return the token of a new link, which lasts LINK_LASTS milliseconds."""
        token = secrets.token_urlsafe(32)
        self._hash, self._expires_at = hash_of(token), self._clock.now() + LINK_LASTS
        return token

    def use(self, token: str) -> bool:
        """Return whether this is the token of a link that is still good, and use the link up if it is."""
        is_good = hmac.compare_digest(hash_of(token), self._hash) and self._clock.now() < self._expires_at
        if is_good:
            self._hash = b""
        return is_good
