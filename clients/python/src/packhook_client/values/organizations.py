"""Organizations, their keys, links to the portal, the master key."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """Hold a tenant. ``retention`` is how long its events are kept; None: as the instance's."""

    id: str
    name: str
    created_at: datetime
    retention: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Hold an API key without its text. ``expires_at`` None: never."""

    id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey(ApiKey):
    """Hold a new API key with its text, which no other response has."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """Hold a link that works once and becomes a session of the portal."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeyRotation:
    """Hold the id of the new master key, and how many webhooks were encrypted again."""

    key_id: str
    reencrypted: int
