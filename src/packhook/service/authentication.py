"""Who asks: from a bearer key to a principal. Keys are known by their SHA-256 alone and compared in constant time."""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Final

from packhook.core.audit import CLI, Action, entry
from packhook.core.clock import Clock
from packhook.core.errors import Forbidden, NotFound, Unauthorized, Unavailable
from packhook.service.rate_limiter import Limits
from packhook.settings import Settings
from packhook.store.base import Store, Usage

OPERATOR_PREFIX: Final = "pho_"
KEPT_SECONDS: Final = 1.0
MOST_KEPT: Final = 10_000


class Principal:
    """Who asks. The operator belongs to no organization and may do everything."""

    __slots__ = ("api_key_id", "expires_at", "organization_id", "prefix", "scopes")

    def __init__(
        self,
        *,
        organization_id: str | None = None,
        scopes: frozenset[str] = frozenset(),
        api_key_id: str | None = None,
        prefix: str = "",
        expires_at: int | None = None,
    ) -> None:
        self.organization_id: Final = organization_id
        self.scopes: Final = scopes
        self.api_key_id: Final = api_key_id
        self.prefix: Final = prefix
        self.expires_at: Final = expires_at

    @property
    def is_operator(self) -> bool:
        """Whether this is the operator's key."""
        return self.organization_id is None

    def may(self, scope: str) -> bool:
        """Whether this key has the scope."""
        return self.is_operator or scope in self.scopes

    def require(self, scope: str | None, organization_id: str | None) -> None:
        """NotFound for another organization; Forbidden without the scope (None: only the operator has it)."""
        if self.is_operator:
            return
        if organization_id is not None and organization_id != self.organization_id:
            raise NotFound(f"no organization {organization_id!r}")
        if scope is None:
            raise Forbidden("only the operator key may do this")
        if scope not in self.scopes:
            raise Forbidden(f"this API key lacks the scope {scope}")


OPERATOR: Final = Principal()


def hash_of(key: str) -> bytes:
    """What is stored of a key: SHA-256, which is enough for 32 random bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def new_key(prefix: str) -> str:
    """A fresh key: its prefix and 32 random bytes."""
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class Access:
    """Knows the keys. What it learned of one it keeps for a second, so that a revocation counts soon on every node."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._operator_hash = hash_of(settings.operator_key) if settings.operator_key else b""
        self._limits = Limits(settings)
        self._generation = 0
        self._known: dict[str, tuple[float, Principal]] = {}
        self._used: dict[str, int] = {}

    async def open(self) -> str | None:
        """Make the operator key at first start; its text, this once. None where there is one already."""
        if self._operator_hash:
            return None
        made = new_key(OPERATOR_PREFIX)
        first = entry(Action.OPERATOR_KEY_CREATED, CLI, self._clock.now(), object_id="operator")
        self._operator_hash = await self._store.claim_operator_key(hash_of(made), first)
        return made if hmac.compare_digest(self._operator_hash, hash_of(made)) else None

    async def admit(self, key: str, scope: str | None, organization_id: str | None) -> Principal:
        """Who this key is, if they may: with this scope, in this organization (see Principal.require), not too often.

        Raises Unauthorized, NotFound, Forbidden, RateLimited.
        """
        principal = self.known(key) or await self.who(key)
        self.allow(principal, scope, organization_id)
        return principal

    def allow(self, principal: Principal, scope: str | None, organization_id: str | None) -> None:
        """The second half of :meth:`admit`: whether they may. Raises NotFound, Forbidden, RateLimited."""
        principal.require(scope, organization_id)
        self._limits.take(principal.api_key_id, principal.organization_id)

    def known(self, key: str) -> Principal | None:
        """Who this key is, if that was asked a moment ago: no look-up, no waiting."""
        found = self._known.get(key)
        if found is None or found[0] < time.monotonic():
            return None
        principal = found[1]
        if principal.expires_at is not None and principal.expires_at <= self._clock.now():
            return None
        if principal.api_key_id is not None:
            self._used[principal.api_key_id] = self._clock.now()
        return principal

    async def who(self, key: str) -> Principal:
        """Who this key is. Unauthorized for one that is unknown, revoked or expired: one answer for all three."""
        principal = self.known(key)
        if principal is not None:
            return principal
        generation = self._generation
        principal = await self._look_up(key)
        if generation != self._generation:
            return principal  # something was revoked meanwhile: true for this once
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        self._known[key] = (time.monotonic() + KEPT_SECONDS, principal)
        return principal

    async def _look_up(self, key: str) -> Principal:
        hashed = hash_of(key)
        if hmac.compare_digest(hashed, self._operator_hash):
            return OPERATOR
        found = await self._store.find_api_key(hashed)
        now = self._clock.now()
        if found is None or not hmac.compare_digest(found[1], hashed):
            raise Unauthorized("this API key is not valid")
        known = found[0]
        if known.expires_at is not None and known.expires_at <= now:
            raise Unauthorized("this API key is not valid")
        self._used[known.id] = now
        return Principal(
            organization_id=known.organization_id,
            scopes=frozenset(known.scopes),
            api_key_id=known.id,
            prefix=known.prefix,
            expires_at=known.expires_at,
        )

    def forget(self) -> None:
        """Ask the store anew about every key."""
        self._generation += 1
        self._known.clear()

    async def flush(self) -> None:
        """Write down when keys were last used."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.record_key_usage([Usage(api_key_id=key_id, at=at) for key_id, at in used.items()])
        except Unavailable:
            self._used = used | self._used
            raise
