"""Define what is promised of stored responses: the same request with an ``Idempotency-Key`` gets its first one again.

A response goes with the audit entry of its change (:attr:`~packhook.core.audit.AuditEntry.response`): change, entry and
response are written in one transaction, or none is, also among requests with one key at the same time.
"""

from typing import Protocol


class ResponseStore(Protocol):
    """Look stored responses up: part of a :class:`~packhook.store.base.Store`, whose promises hold here too."""

    async def find(self, organization_id: str, key: str, fingerprint: bytes, stale_before: int) -> bytes | None:
        """Return the sealed response to the request with this key, None where the key is free.

        Raises Conflict where the key came with another fingerprint, and RateLimited where it is free and the
        organization ("": the instance) has as many responses stored as it may have.
        """
        ...


class WithResponses(Protocol):
    """Return responses again."""

    @property
    def responses(self) -> ResponseStore:
        """Return the part that has the responses to changes."""
        ...
