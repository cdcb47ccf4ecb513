"""Take webhooks whose secret is rotated, so that one node at a time ends an overlap; a part of the Store."""

from collections.abc import Collection
from typing import Protocol


class RotationStore(Protocol):
    """Say which webhooks have previous secrets to be looked at."""

    async def claim_rotations(self, now: int, until: int, limit: int) -> tuple[tuple[str, str], ...]:
        """Take webhooks with previous secrets that are due to be looked at: pairs of organization and webhook.

        No node gets one of them again before ``until``, unless it is rotated again or postponed.
        """
        ...

    async def postpone_rotations(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Set when these webhooks are to be looked at again, if they still have previous secrets."""
        ...
