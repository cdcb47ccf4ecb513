"""Authentication and authorization: from a bearer key to a principal, what it may do, and how often.

Only the SHA-256 of a key is stored; hashes are compared in constant time.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from packhook.core.audit import CLI, Action, entry
from packhook.core.clock import Clock
from packhook.core.errors import (
    Allowance,
    Forbidden,
    NotFound,
    RateLimited,
    RequestError,
    Unauthorized,
    Unavailable,
)
from packhook.core.fairness import FairShare
from packhook.core.model import ApiKey
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.usage import Usage

T = TypeVar("T")

OPERATOR_PREFIX: Final = "pho_"
ANY_KEY: Final = ""
"""Stands for the scope where any key will do."""

INCLUDED_IN: Final = {"deliveries:retry": "webhooks:write"}
"""A scope, and the one that includes it."""
CACHE_SECONDS: Final = 1.0
MAX_CACHED: Final = 10_000
MAX_UNKNOWN_LOOKUPS: Final = 2
MAX_UNKNOWN_WAITING: Final = 1_000
MAX_USAGES: Final = 500
"""How many keys' last use is one transaction."""

WRONG_KEY_SECONDS = 0.01
"""How long a wrong key keeps its place after its look-up: so a node answers 200 of them per second at most."""
BURST_SECONDS: Final = 1.0
MAX_TRACKED: Final = 100_000
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Identify the caller: the operator (``organization_id`` None), who may do everything, or an API key."""

    organization_id: str | None = None
    scopes: frozenset[str] = frozenset()
    api_key_id: str | None = None
    prefix: str = ""
    expires_at: int | None = None

    @property
    def is_operator(self) -> bool:
        """Return True for the operator key."""
        return self.organization_id is None

    def may(self, scope: str) -> bool:
        """Return True if this key has the scope, or one that includes it."""
        return self.is_operator or scope in self.scopes or INCLUDED_IN.get(scope) in self.scopes

    def require(self, scope: str | None, organization_id: str | None) -> None:
        """Raise NotFound for another organization, Forbidden without the scope (None: the operator's alone)."""
        if self.is_operator:
            return
        if organization_id is not None and organization_id != self.organization_id:
            raise NotFound(f"no organization {organization_id!r}")
        if scope is None:
            raise Forbidden("only the operator key may do this")
        if scope != ANY_KEY and not self.may(scope):
            raise Forbidden(f"this API key lacks the scope {scope}")


OPERATOR: Final = Principal()


def hash_of(key: str) -> bytes:
    """Return the SHA-256 of a key, which is all that is stored. Its 32 random bytes need no salt."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def new_key(prefix: str) -> str:
    """Make a key: the prefix and 32 random bytes."""
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class RateLimiter:
    """Limit the requests of each API key, and of each organization with all its keys. ``seconds``: a monotonic clock.

    The generic cell rate algorithm (GCRA): for each of them one number, the theoretical arrival time of its next
    request at an even rate. A burst of one second's worth is allowed; an earlier request is refused with the time to
    wait.
    """

    def __init__(self, settings: Settings, seconds: Callable[[], float] = time.monotonic) -> None:
        self._key_rate = settings.api_key_rate_limit
        self._organization_rate = settings.organization_rate_limit
        self._seconds = seconds
        self._next_arrival: dict[str, float] = {}

    def acquire(self, api_key_id: str | None, organization_id: str | None) -> Allowance | None:
        """Count one request of this key and organization (None: unlimited). Raise RateLimited if it is too early.

        Return what is left to the one of them that has less left; None: neither has a limit.
        """
        allowance = None
        if self._key_rate and api_key_id is not None:
            allowance = self._count(api_key_id, self._key_rate, "this API key")
        if self._organization_rate and organization_id is not None:
            of_all = self._count(organization_id, self._organization_rate, "this organization")
            allowance = of_all if allowance is None or of_all.remaining < allowance.remaining else allowance
        return allowance

    def _count(self, name: str, rate: float, whose: str) -> Allowance:
        now, burst = self._seconds(), max(BURST_SECONDS, 1 / rate)
        arrival = max(self._next_arrival.get(name, 0.0), now)
        early = arrival - now - burst + 1 / rate
        limit = math.floor(burst * rate + _ROUNDING)
        if early > _ROUNDING:
            refused = RateLimited(f"{whose} may make {rate:g} requests a second", retry_after_seconds=math.ceil(early))
            refused.allowance = Allowance(limit, 0, math.ceil(arrival - now - _ROUNDING))
            raise refused
        if len(self._next_arrival) >= MAX_TRACKED:
            self._next_arrival = {other: at for other, at in self._next_arrival.items() if at > now}
        self._next_arrival[name] = after = arrival + 1 / rate
        remaining = math.floor((now + burst - after) * rate + _ROUNDING)
        return Allowance(limit, max(0, remaining), math.ceil(after - now - _ROUNDING))


class UnknownLookups:
    """Look up what was not valid before on this node: few at once, slowly, with a fair share by source address."""

    def __init__(self, refusal: str) -> None:
        self._waiting = FairShare(MAX_UNKNOWN_WAITING, refusal)
        self._places = asyncio.Semaphore(MAX_UNKNOWN_LOOKUPS)

    @asynccontextmanager
    async def place(self, source: str) -> AsyncIterator[None]:
        """Wait for a place; an Unauthorized that is raised in it keeps it for a while. Raises Overloaded."""
        with self._waiting.reserve(source) as waiting:
            waiting.grow(1)
            async with self._places:
                try:
                    yield
                except Unauthorized:
                    await asyncio.sleep(WRONG_KEY_SECONDS)
                    raise


class KnownTokens:
    """Look up a token each time that it is shown, so that one which was ended is refused at once, on every node.

    Only tokens that were not valid here before wait among the :class:`UnknownLookups`.
    """

    def __init__(self, unknown: UnknownLookups) -> None:
        self._unknown = unknown
        self._known = set[bytes]()

    async def look_up(self, token_hash: bytes, source: str, find: Callable[[], Awaitable[T]]) -> T:
        """Return what ``find`` does; it raises Unauthorized for a token that is not valid. Raises Overloaded."""
        if token_hash in self._known:
            try:
                return await find()
            except Unauthorized:
                self._known.discard(token_hash)
                raise
        async with self._unknown.place(source):
            found = await find()
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known.add(token_hash)
        return found


class Access:
    """Authenticate and authorize requests.

    A principal is cached for one second, so a revoked key stops working within a second on every node. A key that was
    valid before is looked up at once; the others wait for one of a few places, shared fairly by source address. So
    wrong keys delay no publisher that has a good one.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._operator_hash = hash_of(settings.operator_key) if settings.operator_key else b""
        self._rate_limiter = RateLimiter(settings)
        self._generation = 0
        self._cache: dict[str, tuple[float, Principal]] = {}
        self._known: set[str] = set()
        self._unknown = UnknownLookups("too many unknown API keys are being looked up; try again")
        self._last_used: dict[str, int] = {}

    async def open(self) -> str | None:
        """Make the operator key at the first start. Return its text, or None where there is one already."""
        if self._operator_hash:
            return None
        key = new_key(OPERATOR_PREFIX)
        created = entry(Action.OPERATOR_KEY_CREATED, CLI, self._clock.now(), object_id="operator")
        self._operator_hash = await self._store.claim_operator_key(hash_of(key), created)
        return key if hmac.compare_digest(self._operator_hash, hash_of(key)) else None

    def mark_of(self, kind: str) -> bytes:
        """Return a mark of the operator key, which sessions of this kind are bound to. No secret by itself."""
        return hashlib.sha256(f"{kind}\0{self._operator_hash.hex()}".encode()).digest()

    async def authenticate_and_authorize(
        self, key: str, scope: str | None, organization_id: str | None, source: Callable[[], str]
    ) -> tuple[Principal, Allowance | None]:
        """Return the principal of this key, if it may use this scope in this organization, and what it has left.

        ``source`` returns the client's address. Raises Unauthorized, NotFound, Forbidden, RateLimited or Overloaded.
        """
        principal = self.cached_principal(key) or await self.authenticate(key, source)
        return principal, self.authorize(principal, scope, organization_id)

    async def count(self, key: str, source: Callable[[], str]) -> Allowance | None:
        """Count a request of this key that asks for nothing. Raises Unauthorized, RateLimited or Overloaded."""
        principal = self.cached_principal(key) or await self.authenticate(key, source)
        return self._rate_limiter.acquire(principal.api_key_id, principal.organization_id)

    def authorize(self, principal: Principal, scope: str | None, organization_id: str | None) -> Allowance | None:
        """Check rate limit, scope and organization, and return what is left of the limit.

        Raises RateLimited, NotFound or Forbidden. A request that is refused counts too.
        """
        allowance = self._rate_limiter.acquire(principal.api_key_id, principal.organization_id)
        try:
            principal.require(scope, organization_id)
        except RequestError as refused:
            refused.allowance = allowance
            raise
        return allowance

    def cached_principal(self, key: str) -> Principal | None:
        """Return the principal of this key if it is cached and the key has not expired."""
        found = self._cache.get(key)
        if found is None or found[0] < time.monotonic():
            return None
        principal = found[1]
        if principal.expires_at is not None and principal.expires_at <= self._clock.now():
            return None
        if principal.api_key_id is not None:
            self._last_used[principal.api_key_id] = self._clock.now()
        return principal

    def organization_of(self, key: str) -> str | None:
        """Return whose key this was when it was looked up last; "" is the operator's, None an unknown key."""
        found = self._cache.get(key)
        return None if found is None else found[1].organization_id or ""

    async def authenticate(self, key: str, source: Callable[[], str]) -> Principal:
        """Return the principal of this key. Raise the same Unauthorized for an unknown, revoked or expired one."""
        generation = self._generation
        hashed = hash_of(key)
        if hmac.compare_digest(hashed, self._operator_hash):
            principal = OPERATOR
        elif key in self._known:
            principal = await self._look_up(key, hashed)
        else:
            async with self._unknown.place(source()):
                principal = await self._look_up(key, hashed)
        if generation != self._generation:
            return principal  # a key was revoked during the look-up: do not cache this answer
        if len(self._known) >= MAX_CACHED:
            self._cache.clear()
            self._known.clear()
        self._known.add(key)
        self._cache[key] = (time.monotonic() + CACHE_SECONDS, principal)
        return principal

    async def _look_up(self, key: str, hashed: bytes) -> Principal:
        found = await self._store.find_api_key(hashed)
        now = self._clock.now()
        if found is None or not hmac.compare_digest(found[1], hashed) or _has_expired(found[0], now):
            self._known.discard(key)
            raise Unauthorized("this API key is not valid")
        api_key = found[0]
        self._last_used[api_key.id] = now
        return Principal(
            organization_id=api_key.organization_id,
            scopes=frozenset(api_key.scopes),
            api_key_id=api_key.id,
            prefix=api_key.prefix,
            expires_at=api_key.expires_at,
        )

    def invalidate(self) -> None:
        """Drop the cache: look every key up again."""
        self._generation += 1
        self._cache.clear()

    async def flush(self) -> None:
        """Store when keys were last used."""
        used, self._last_used = self._last_used, {}
        if not used:
            return
        try:
            while used:
                some = list(itertools.islice(used.items(), MAX_USAGES))
                await self._store.record_key_usage([Usage(api_key_id=key_id, at=at) for key_id, at in some])
                for key_id, _ in some:
                    del used[key_id]
        except Unavailable:
            self._last_used = used | self._last_used
            raise


def _has_expired(api_key: ApiKey, now: int) -> bool:
    return api_key.expires_at is not None and api_key.expires_at <= now
