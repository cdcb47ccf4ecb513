"""Say what a portal session is: a customer's way to some pages of its own organization, without an API key.

::

    create ─▶ link (works once) ─ open ─▶ session ─▶ ended, or expired
                     └───────── both end at expires_at, or with the key that made them

A session may do what its capabilities say. A key can give only those whose scopes it has itself.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from msgspec import Struct

from packhook.core.clock import DAY, HOUR, MINUTE

SHORTEST: Final = 5 * MINUTE
LONGEST: Final = DAY
DEFAULT_LASTING: Final = HOUR
MAX_PER_ORGANIZATION: Final = 1_000
"""How many links and sessions an organization has at once; a new one takes the place of the oldest."""


class Capability(StrEnum):
    """Name what a session may do."""

    VIEW = "view"  # webhooks, events, deliveries
    MANAGE = "manage"  # create, change, test and delete webhooks
    REPLAY = "replay"  # retry deliveries, replay
    SECRETS = "secrets"  # see and rotate secrets


SCOPES_OF: Final = {
    Capability.VIEW: ("webhooks:read", "events:read"),
    Capability.MANAGE: ("webhooks:write",),
    Capability.REPLAY: ("webhooks:write", "deliveries:retry"),
    Capability.SECRETS: ("webhooks:write",),
}
"""The scopes that a key needs for the same over the API."""


class PortalSession(Struct, frozen=True, kw_only=True):
    """Hold a link, or once it was opened a session.

    ``api_key_id`` is that of the key that made it, "" for the operator key; then ``operator_mark`` is derived from the
    hash of that key, so that another operator key ends it.
    """

    id: str
    organization_id: str
    capabilities: tuple[Capability, ...]
    api_key_id: str
    operator_mark: bytes
    created_at: int
    expires_at: int
    opened_at: int | None = None

    def may(self, capability: Capability) -> bool:
        """Return whether the session has a capability."""
        return capability in self.capabilities


def capability_problem(capabilities: Collection[Capability]) -> str:
    """Return why these cannot be a session's, "" if they can."""
    if len(set(capabilities)) < len(capabilities):
        return "expected each once"
    return "" if Capability.VIEW in capabilities else "expected view among them: without it there is nothing to see"
