"""Sessions of the dashboard: a random token in a cookie, of which every node finds the hash in the database.

::

    sign in ─ operator key ─▶ token (a cookie) ─ session_of ─▶ BrowserSession, or None: sign in again
                                  └─ sign out ─▶ ended on every node, also for a copy of the cookie

A node may make one link that signs in once (:class:`SignInLink`).

A session is looked up for each request. It ends when it is signed out of, when it expires, and when the operator key
changes.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from msgspec import Struct

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import MINUTE, Clock
from packhook.core.errors import Unauthorized
from packhook.core.operator_session import LASTS, MAX_SESSIONS, OperatorSession
from packhook.service.authentication import Access, KnownTokens, UnknownLookups, hash_of, new_key
from packhook.store.base import Store

LINK_LASTS: Final = 10 * MINUTE
MAX_COOKIE_LENGTH: Final = 100
_STRANGER: Final = "phf_"
_OPERATOR: Final = "phd_"


class BrowserSession(Struct, frozen=True, kw_only=True):
    """Hold the token of a browser's cookie. ``id``: that of the operator's session, "" before the key was shown."""

    token: str
    id: str = ""

    @property
    def is_operator(self) -> bool:
        """Return whether the operator key was shown."""
        return bool(self.id)

    @property
    def form_token(self) -> str:
        """Return the token that each form of this session carries; who sees it does not learn the cookie."""
        return base64.urlsafe_b64encode(hashlib.sha256(f"form\0{self.token}".encode()).digest()).decode().rstrip("=")


class Sessions:
    """Begin, recognize and end sessions."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._known = KnownTokens(UnknownLookups("too many unknown sessions are being looked up; try again"))

    def begin(self) -> BrowserSession:
        """Return the session of a stranger, which protects the form to sign in. Nothing is stored."""
        return BrowserSession(token=new_key(_STRANGER))

    async def sign_in(self, by: Actor, way: str) -> BrowserSession:
        """Return a new session of the operator; ``way`` says in the audit trail how it was begun."""
        now, token = self._clock.now(), new_key(_OPERATOR)
        session = OperatorSession(
            id=ids.operator_session_id(), operator_mark=self._operator_mark(), created_at=now, expires_at=now + LASTS
        )
        audit = entry(Action.OPERATOR_SESSION_OPENED, by, now, object_id=session.id, reason=way)
        await self._store.dashboard.begin_session(session, hash_of(token), audit, MAX_SESSIONS)
        return BrowserSession(token=token, id=session.id)

    async def session_of(self, cookie: str, source: str) -> BrowserSession | None:
        """Return the session of a cookie's value; None if it has ended, or never was. Raises Overloaded.

        ``source`` is the client's address.
        """
        if cookie.startswith(_STRANGER) and len(cookie) <= MAX_COOKIE_LENGTH:
            return BrowserSession(token=cookie)
        if not cookie.startswith(_OPERATOR) or len(cookie) > MAX_COOKIE_LENGTH:
            return None
        token_hash = hash_of(cookie)

        async def find() -> OperatorSession:
            found = await self._store.dashboard.find_session(token_hash, self._clock.now())
            if found is None or not hmac.compare_digest(found.operator_mark, self._operator_mark()):
                raise Unauthorized
            return found

        try:
            session = await self._known.look_up(token_hash, source, find)
        except Unauthorized:
            return None
        return BrowserSession(token=cookie, id=session.id)

    async def end(self, session: BrowserSession, by: Actor) -> None:
        """End a session, for every copy of its cookie."""
        if session.is_operator:
            audit = entry(Action.OPERATOR_SESSION_ENDED, by, self._clock.now(), object_id=session.id)
            await self._store.dashboard.end_session(hash_of(session.token), audit)

    def _operator_mark(self) -> bytes:
        return self._access.mark_of("dashboard")


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
