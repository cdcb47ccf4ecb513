"""Portal: links that work once and become sessions of one organization, with some capabilities and no API key.

::

    create ─▶ token of the link ─ open ─▶ token of the session (a cookie) ─ session_of ─▶ PortalSession

Only SHA-256 hashes of tokens are stored. What a token is good for is looked up each time, so a revoked key ends its
links and sessions at once, on every node, and so does the end of a session for every copy of its cookie.
"""

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from packhook.core import ids
from packhook.core.audit import Action, Actor, Change, entry, remembered
from packhook.core.clock import Clock, to_rfc3339
from packhook.core.errors import Forbidden, Unauthorized
from packhook.core.idempotency import Remember
from packhook.core.portal import MAX_PER_ORGANIZATION, SCOPES_OF, Capability, PortalSession
from packhook.service.authentication import (
    Access,
    KnownTokens,
    Principal,
    UnknownLookups,
    hash_of,
    new_key,
)
from packhook.store.base import Store

LINK_PREFIX: Final = "phl_"
SESSION_PREFIX: Final = "phs_"
_ENDED: Final = "this link or session has ended, or never was: request a new link"


class Portal:
    """Create links, open them, and recognize sessions."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._unknown = UnknownLookups("too many unknown links are being looked up; try again")
        self._known = KnownTokens(self._unknown)

    async def create(
        self,
        organization_id: str,
        capabilities: Sequence[Capability],
        lasts: int,
        principal: Principal,
        by: Actor,
        *,
        remember: Remember[tuple[str, PortalSession]] | None = None,
    ) -> tuple[str, PortalSession]:
        """Return the token of a new link, and when it ends, ``lasts`` milliseconds from now.

        Raise Forbidden for a capability that needs a scope the key lacks; NotFound without the organization.
        """
        for capability in capabilities:
            lacking = [scope for scope in SCOPES_OF[capability] if not principal.may(scope)]
            if lacking:
                raise Forbidden(f"this API key lacks the scope {lacking[0]}, which the capability {capability} needs")
        now, token = self._clock.now(), new_key(LINK_PREFIX)
        session = PortalSession(
            id=ids.portal_session_id(),
            organization_id=organization_id,
            capabilities=tuple(capabilities),
            api_key_id=principal.api_key_id or "",
            operator_mark=self._operator_mark() if principal.is_operator else b"",
            created_at=now,
            expires_at=now + lasts,
        )
        shown = {"capabilities": " ".join(capabilities), "expires_at": to_rfc3339(session.expires_at)}
        audit = entry(
            Action.PORTAL_SESSION_CREATED,
            by,
            now,
            organization_id=organization_id,
            object_id=session.id,
            changes=tuple(Change(name, None, value) for name, value in shown.items()),
        )
        audit = remembered(audit, remember, (token, session))
        await self._store.portal.create(session, hash_of(token), audit, MAX_PER_ORGANIZATION)
        return token, session

    async def open(self, token: str, source: str, by: Callable[[str], Actor]) -> tuple[str, PortalSession]:
        """Use a link up; return the token of the session that it becomes. Raise Unauthorized for one that is none.

        ``source`` is the client's address; ``by`` makes the actor of the audit entry from the session's id.
        """
        link_hash, now = hash_of(token), self._clock.now()
        async with self._unknown.place(source):
            link = self._valid(await self._store.portal.find_link(link_hash, now))
        cookie = new_key(SESSION_PREFIX)
        audit = entry(
            Action.PORTAL_SESSION_OPENED,
            by(link.id),
            now,
            organization_id=link.organization_id,
            object_id=link.id,
        )
        session = await self._store.portal.open(link_hash, hash_of(cookie), now, audit)
        if session is None:
            raise Unauthorized(_ENDED)  # another request was first
        return cookie, session

    async def session_of(self, cookie: str, source: str) -> PortalSession:
        """Return the session of this token. Raise Unauthorized if it has ended, or never was."""
        session_hash = hash_of(cookie)

        async def find() -> PortalSession:
            return self._valid(await self._store.portal.find_session(session_hash, self._clock.now()))

        return await self._known.look_up(session_hash, source, find)

    async def end(self, cookie: str) -> None:
        """End the session of this token, if there is one."""
        await self._store.portal.end(hash_of(cookie))

    def _valid(self, found: PortalSession | None) -> PortalSession:
        """Return a link or session, unless another operator key than the present one made it."""
        if found is None or not (found.api_key_id or hmac.compare_digest(found.operator_mark, self._operator_mark())):
            raise Unauthorized(_ENDED)
        return found

    def _operator_mark(self) -> bytes:
        return self._access.mark_of("portal")
