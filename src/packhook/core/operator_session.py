"""Say what a session of the dashboard is: a browser that has shown the operator key, or opened a sign-in link."""

from typing import Final

from msgspec import Struct

from packhook.core.clock import HOUR

LASTS: Final = 12 * HOUR
MAX_SESSIONS: Final = 1_000
"""How many sessions there are at once; a new one takes the place of the one that ends first."""


class OperatorSession(Struct, frozen=True, kw_only=True):
    """Identify a browser until ``expires_at``.

    ``operator_mark`` is derived from the hash of the operator key, so that another operator key ends the session.
    """

    id: str
    operator_mark: bytes
    created_at: int
    expires_at: int
