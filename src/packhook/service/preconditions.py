"""Preconditions of a change: that what it changes is still the version that the caller has read."""

from collections.abc import Collection

from packhook.core.errors import PreconditionFailed

Versions = Collection[int] | None
"""The versions that a caller knows, one of which has to be the stored one; None: any."""

CHANGED = "it was changed since: read it again, and decide again"


def require_version(stored: int, versions: Versions) -> None:
    """Raise PreconditionFailed where the stored version is none of those that the caller knows."""
    if versions is not None and stored not in versions:
        raise PreconditionFailed(CHANGED)
